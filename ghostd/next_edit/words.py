"""Words that are no names of a project: keywords, and what every file of a language knows."""

from __future__ import annotations

import builtins
import keyword

_TYPESCRIPT = """
abstract any as asserts async await bigint boolean break case catch class const continue debugger declare default delete
do else enum export extends false finally for from function get if implements import in infer instanceof interface is
keyof let namespace never new null number object of out override package private protected public readonly require
return satisfies set static string super switch symbol this throw true try type typeof undefined unique unknown using
var void while with yield constructor
"""
_TYPESCRIPT_GLOBALS = """
Array ArrayBuffer BigInt Boolean DataView Date Error EvalError Float32Array Float64Array Function Infinity Int16Array
Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect
RegExp Set String Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array URL URLSearchParams WeakMap
WeakRef WeakSet console document window globalThis global process module exports require setTimeout clearTimeout
setInterval clearInterval setImmediate queueMicrotask structuredClone fetch Buffer AbortController AbortSignal Event
EventTarget Headers Request Response TextDecoder TextEncoder Partial Required Readonly Record Pick Omit Exclude Extract
NonNullable Parameters ReturnType InstanceType Awaited AsyncIterable Iterable PromiseLike ReadonlyArray ReadonlyMap
ReadonlySet Element HTMLElement Node parseInt parseFloat isNaN isFinite arguments
"""
_RUST = """
as async await box break const continue crate dyn else enum extern false fn for if impl in let loop macro_rules match
mod move mut pub ref return self Self static struct super trait true type union unsafe use where while yield
bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize
Option Some None Result Ok Err String Vec Box Copy Clone Send Sync Sized Drop Fn FnMut FnOnce From Into Default Iterator
IntoIterator Extend Eq PartialEq Ord PartialOrd AsRef AsMut ToOwned ToString TryFrom TryInto DoubleEndedIterator
ExactSizeIterator FromIterator drop std core alloc derive cfg test allow inline doc
"""
_ZIG = """
addrspace align allowzero and anyframe anytype asm async await break callconv catch comptime const continue defer else
enum errdefer error export extern fn for if inline linksection noalias noinline nosuspend opaque or orelse packed pub
resume return struct suspend switch test threadlocal try union unreachable usingnamespace var volatile while
anyerror anyopaque bool comptime_float comptime_int f16 f32 f64 f80 f128 false i8 i16 i32 i64 i128 isize noreturn null
true type u8 u16 u32 u64 u128 usize undefined void
"""
_C = """
auto break case char class const continue default do double else enum extern final float for goto if import inline int
interface long namespace new null nullptr package private protected public register return short signed sizeof static
struct super switch template this throw throws try catch typedef typename union unsigned using virtual void volatile
while true false func var let type map chan go defer range select nil string bool byte error make len cap append
"""

KEYWORDS: dict[str, frozenset[str]] = {
    "python": frozenset((*keyword.kwlist, "self", "cls", "match", "case")),
    "typescript": frozenset(_TYPESCRIPT.split()),
    "rust": frozenset(_RUST.split()),
    "zig": frozenset(_ZIG.split()),
}
KNOWN: dict[str, frozenset[str]] = {
    "python": frozenset((*dir(builtins), "__file__", "__path__", "_")),
    "typescript": frozenset(_TYPESCRIPT_GLOBALS.split()),
    "rust": frozenset(),
    "zig": frozenset(),
}
_OTHER = frozenset(_C.split())


def is_word(name: str, family: str) -> bool:
    """Whether nobody can rename it."""
    return name in KEYWORDS.get(family, _OTHER)


def is_known(name: str, family: str) -> bool:
    """Whether it needs no import."""
    return is_word(name, family) or name in KNOWN.get(family, ())
