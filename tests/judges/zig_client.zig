//! Zig's own HTTP client and JSON decoder, as Zeke uses them: any key that a type does not have is an error.

const std = @import("std");

const Message = struct { role: []const u8, content: []const u8 };
const Details = struct {
    parent_model: []const u8,
    format: []const u8,
    family: []const u8,
    families: []const []const u8,
    parameter_size: []const u8,
    quantization_level: []const u8,
};
const Model = struct {
    name: []const u8,
    model: []const u8,
    modified_at: []const u8,
    size: u64,
    digest: []const u8,
    details: Details,
};
const Tags = struct { models: []const Model };
const Version = struct { version: []const u8 };
const Generated = struct {
    model: []const u8,
    created_at: []const u8,
    response: []const u8,
    done: bool,
    context: ?[]const i32 = null,
    total_duration: ?u64 = null,
    load_duration: ?u64 = null,
    prompt_eval_count: ?u32 = null,
    eval_count: ?u32 = null,
    eval_duration: ?u64 = null,
};
const Chatted = struct {
    model: []const u8,
    created_at: []const u8,
    message: Message,
    done: bool,
    total_duration: ?u64 = null,
    load_duration: ?u64 = null,
    prompt_eval_count: ?u32 = null,
    eval_count: ?u32 = null,
    eval_duration: ?u64 = null,
};
const Choice = struct { index: u32, message: Message, finish_reason: []const u8 };
const Usage = struct { prompt_tokens: u32, completion_tokens: u32, total_tokens: u32 };
const Metadata = struct {
    provider: []const u8,
    model_used: []const u8,
    latency_ms: u32,
    was_cached: ?bool = null,
    cost_usd: ?f64 = null,
    routing_reason: ?[]const u8 = null,
};
const Completed = struct {
    id: []const u8,
    object: []const u8,
    created: i64,
    model: []const u8,
    choices: []const Choice,
    usage: ?Usage = null,
    routing_metadata: ?Metadata = null,
};

var memory: std.heap.ArenaAllocator = .init(std.heap.page_allocator);
var base: []const u8 = "";

fn ask(path: []const u8, body: ?[]const u8) ![]const u8 {
    const a = memory.allocator();
    var client: std.http.Client = .{ .allocator = a };
    defer client.deinit();
    var out: std.Io.Writer.Allocating = .init(a);
    const result = try client.fetch(.{
        .location = .{ .url = try std.fmt.allocPrint(a, "{s}{s}", .{ base, path }) },
        .method = if (body == null) .GET else .POST,
        .payload = body,
        .headers = .{ .content_type = .{ .override = "application/json" } },
        .response_writer = &out.writer,
    });
    if (result.status != .ok) return error.NotOk;
    return out.written();
}

fn decoded(comptime T: type, path: []const u8, body: ?[]const u8) !T {
    return std.json.parseFromSliceLeaky(T, memory.allocator(), try ask(path, body), .{});
}

pub fn main() !void {
    const args = try std.process.argsAlloc(memory.allocator());
    base = args[1];
    const model = args[2];
    var buffer: [65536]u8 = undefined;

    const tags = try decoded(Tags, "/api/tags", null);
    std.debug.assert(tags.models.len > 0);
    _ = try decoded(Version, "/api/version", null);
    const health = try ask("/v1/../health", null);
    std.debug.assert(std.mem.indexOf(u8, health, "\"status\":\"ok\"") != null);

    const generate = try std.fmt.bufPrint(&buffer, "{{\"model\":\"{s}\",\"prompt\":\"hi\",\"stream\":false,\"system\":null,\"options\":null}}", .{model});
    std.debug.print("{s}\n", .{(try decoded(Generated, "/api/generate", generate)).response});
    const chat = try std.fmt.bufPrint(&buffer, "{{\"model\":\"{s}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"stream\":false,\"options\":null}}", .{model});
    std.debug.print("{s}\n", .{(try decoded(Chatted, "/api/chat", chat)).message.content});
    const tagged = try std.fmt.bufPrint(&buffer, "{{\"model\":\"{s}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"temperature\":null,\"stream\":false,\"tags\":{{\"intent\":\"code\",\"source\":\"zeke\",\"language\":null}}}}", .{model});
    const said = try decoded(Completed, "/v1/chat/completions", tagged);
    std.debug.print("{s}\n{s}\n", .{ said.choices[0].message.content, said.routing_metadata.?.model_used });
}
