"""Fill-in-the-middle prompts, in the form that the markers of a model's vocabulary ask for, never its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ghostd.context.quote import comment_mark
from ghostd.fim_markers import MARKER_TEXTS, FimForm, form_of, ordered
from ghostd.models import FimVocabulary
from ghostd.types import Prompt

PROJECT = "project"
FILE = "file"
"""Names of the project and of the file at hand, where a request does not tell."""

_LANGUAGES = {
    ".py": "Python", ".js": "JavaScript", ".ts": "TypeScript", ".tsx": "TypeScript", ".c": "C", ".h": "C",
    ".cpp": "C++", ".hpp": "C++", ".rs": "Rust", ".go": "Go", ".java": "Java", ".rb": "Ruby", ".php": "PHP",
    ".kt": "Kotlin", ".swift": "Swift", ".lua": "Lua", ".sh": "Shell", ".sql": "SQL", ".cs": "C#", ".zig": "Zig",
}  # fmt: skip


def fill_prompt(
    fim: FimVocabulary,
    prefix: str,
    suffix: str,
    quoted: Sequence[tuple[str, str]] = (),
    *,
    file: str = FILE,
    project: str = PROJECT,
    fresh: str = "",
) -> Prompt:
    """The prompt that asks the model for the text between `prefix` and `suffix` of the file of this name.

    `quoted` are pieces of other files with their names, laid out as the model was trained to see them, or below
    comments that name them. `fresh` is the prefix's end where that stands last of all (see `ends_with_fresh`): the
    model finds the hole's text begun and writes on.

    Markers and BOS are token ids and all texts stay plain text, so text that looks like a marker cannot become
    one. Raises ValueError when no form that ghostd knows matches the vocabulary.
    """
    form = form_of(fim.ids)
    if form is None:
        raise ValueError("the model's vocabulary has no fill-in-the-middle markers that ghostd knows")
    head, lead, tail = _files(fim, form, quoted, file, project)
    bos: Prompt = () if fim.bos_id is None else (fim.bos_id,)
    return (
        *bos,
        *head,
        *ordered(form, fim.order or form.order, fim.ids, lead + prefix, suffix),
        *tail,
        *filter(None, (fresh,)),
    )


def ends_with_fresh(fim: FimVocabulary) -> bool:
    """Whether the prompts of these models may end with text that was typed last: behind the middle marker, where the
    prefix is not the last text anyway."""
    form = form_of(fim.ids)
    return form is not None and (fim.order or form.order) == "prefix-suffix-middle"


def as_text(fim: FimVocabulary, prompt: Prompt) -> str:
    """The prompt as one text, for servers that take text only. Markers in files' texts are broken up by a space.

    The BOS is left out: such servers put it in front themselves.
    """
    names = {number: text.replace("▁<", " <") for text, number in fim.ids.items() if text in MARKER_TEXTS}
    return "".join(_defused(piece) if isinstance(piece, str) else names.get(piece, "") for piece in prompt)


def _defused(text: str) -> str:
    for marker in MARKER_TEXTS:
        bare = marker.lstrip("▁")
        if bare in text:
            text = text.replace(bare, f"{bare[0]} {bare[1:]}")
    return text


def _files(
    fim: FimVocabulary, form: FimForm, quoted: Sequence[tuple[str, str]], file: str, project: str
) -> tuple[Prompt, str, Prompt]:
    """What stands before the markers, what the prefix begins with, and what stands at the very end."""
    ids = fim.ids
    kind = form.or_files if fim.order is not None and fim.order == form.or_order else form.files
    if kind == "references":
        return _references(fim, quoted, file)
    head: Prompt = ()
    lead = ""
    if not quoted:
        return head, lead, ()
    if kind == "repository":
        separator = ids["<|file_sep|>"]
        pieces = [piece for name, text in quoted for piece in (separator, f"{name}\n{_ended(text)}")]
        head = (ids["<|repo_name|>"], f"{project}\n", *pieces, separator, f"{file}\n")
    elif kind == "repository-in-prefix":
        separator = ids["<file_sep>"]
        pieces = [piece for name, text in quoted for piece in (separator, f"{name}\n{text}")]
        head, lead = (ids["<repo_name>"], project, *pieces, separator), f"{file}\n"
    elif kind == "filenames":
        named = ids["<filename>"]
        pieces = [piece for name, text in quoted for piece in (named, f"{name}\n{_ended(text)}")]
        head = (*pieces, named, f"{file}\n")
    elif kind == "separator":
        separator = ids["<|file_separator|>"]
        pieces = [piece for name, text in quoted for piece in (f"{name}\n{text}", separator)]
        head = (*pieces, f"{file}\n")
    elif kind == "plus-lines":
        lead = "".join(f"+++++ {name}\n{text}\n\n" for name, text in quoted) + f"+++++ {file}\n"
    else:
        mark = comment_mark(PurePosixPath(file))
        lead = "".join(f"{mark} {name}\n{_ended(text)}\n" for name, text in quoted) + f"{mark} {file}\n"
    return head, lead, ()


def _references(fim: FimVocabulary, quoted: Sequence[tuple[str, str]], file: str) -> tuple[Prompt, str, Prompt]:
    references = "".join(f"###REFERENCE:\n###PATH:{name}\n{_ended(text)}" for name, text in quoted)
    language = _LANGUAGES.get(PurePosixPath(file).suffix, "")
    heading = f"\n{references}###PATH:{file}\n###LANGUAGE:{language}\n###MODE:BLOCK\n"
    return (fim.ids["<|user|>"], heading), "", (fim.ids["<|assistant|>"], "\n")


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
