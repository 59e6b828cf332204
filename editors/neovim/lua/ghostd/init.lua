--- ghostd in Neovim: runs `ghostd lsp` for the buffers of a project and shows its completions as ghost text.
---
---     require("ghostd").setup({})
---
--- Needs Neovim 0.12 for ghost text. Neovim 0.11 gets the same completions in its completion menu.

local M = {}

---@class ghostd.Options
local defaults = {
  ---@type string[] The language server.
  cmd = { "ghostd", "lsp" },
  ---@type string[]? Only these filetypes; nil: all.
  filetypes = nil,
  ---@type string[] What makes a folder a project.
  root_markers = { ".git", "pyproject.toml", "package.json", "Cargo.toml", "build.zig", "go.mod" },
  ---@type string|false Insert-mode key that accepts the ghost text, and does what it always did if there is none.
  accept = "<Tab>",
  ---@type table? initializationOptions, e.g. { plainCompletion = true }: completions also in the menu.
  init_options = nil,
}

--- Insert only what is left of a text that the user has typed on into since it came; Neovim would insert all of it.
local function accept(item)
  local buffer = vim.api.nvim_get_current_buf()
  if type(item.insert_text) ~= "string" or not item.range or not item.range:is_empty() then
    return item
  end
  local row, column = item.range:to_extmark()
  local last, at = unpack(vim.api.nvim_win_get_cursor(0))
  last = last - 1
  if last < row or (last == row and at < column) then
    return item
  end
  local typed = table.concat(vim.api.nvim_buf_get_text(buffer, row, column, last, at, {}), "\n")
  if typed == "" then
    return item
  elseif not vim.startswith(item.insert_text, typed) then
    return nil
  end
  local lines = vim.split(item.insert_text:sub(#typed + 1), "\n")
  vim.api.nvim_buf_set_text(buffer, last, at, last, at, lines)
  vim.api.nvim_win_set_cursor(0, { last + #lines, (#lines == 1 and at or 0) + #lines[#lines] })
  local client = vim.lsp.get_client_by_id(item.client_id)
  if client and item.command then
    client:exec_cmd(item.command, { bufnr = buffer })
  end
end

local function map_accept(key, buffer)
  vim.keymap.set("i", key, function()
    if not vim.lsp.inline_completion.get({ on_accept = accept }) then
      return key
    end
  end, { buffer = buffer, expr = true, desc = "Accept ghostd's completion" })
end

local function attach(client, buffer, options)
  if vim.lsp.inline_completion and client:supports_method("textDocument/inlineCompletion", buffer) then
    vim.lsp.inline_completion.enable(true, { client_id = client.id })
    if options.accept then
      map_accept(options.accept, buffer)
    end
  end
  if client:supports_method("textDocument/completion", buffer) then
    -- Without these, Neovim inserts the only entry of a list at once.
    vim.bo[buffer].completeopt = "menuone,noselect,popup"
    vim.lsp.completion.enable(true, client.id, buffer, { autotrigger = true })
  end
end

--- Tell ghostd which filetypes other servers find definitions in: it leaves symbols of these to them.
local function tell_served()
  local served = {}
  for _, client in ipairs(vim.lsp.get_clients()) do
    if client.name ~= "ghostd" and client:supports_method("textDocument/definition") then
      for buffer in pairs(client.attached_buffers) do
        if vim.api.nvim_buf_is_valid(buffer) and vim.bo[buffer].filetype ~= "" then
          served[vim.bo[buffer].filetype] = true
        end
      end
    end
  end
  local settings = { ghostd = { servedLanguages = vim.tbl_keys(served) } }
  for _, client in ipairs(vim.lsp.get_clients({ name = "ghostd" })) do
    client:notify("workspace/didChangeConfiguration", { settings = settings })
  end
end

--- A piece of the project in words.
local function told(piece)
  local place = ("%s:%d-%d"):format(piece.path, piece.first_line, piece.last_line)
  return ("%s  %s, score %.2f, %d tokens"):format(place, piece.source, piece.score, piece.tokens)
end

--- The lines that show a context.
local function lines_of(report)
  local lines = {
    ("Context of %s:%d:%d in %s"):format(report.path, report.line, report.column, report.root),
    ("%d of %d tokens, %d of %d pieces, %.0f ms"):format(
      report.tokens, report.budget, #report.chunks, report.candidates, report.seconds * 1000
    ),
  }
  if #report.late > 0 then
    table.insert(lines, "not in time: " .. table.concat(report.late, ", "))
  end
  for _, piece in ipairs(report.chunks) do
    vim.list_extend(lines, { "", "## " .. told(piece), table.concat(piece.why, "; "), "" })
    for _, line in ipairs(vim.split(piece.text, "\n")) do
      table.insert(lines, "    " .. line)
    end
  end
  if #report.left_out > 0 then
    vim.list_extend(lines, { "", "## left out", "" })
  end
  for _, piece in ipairs(report.left_out) do
    table.insert(lines, told(piece) .. ": " .. piece.reason)
  end
  return lines
end

--- Show in a scratch buffer what a prompt would quote of the project at the cursor.
---@param tokens integer? The budget; nil: as ghostd is configured.
function M.context(tokens)
  local client = vim.lsp.get_clients({ name = "ghostd", bufnr = 0 })[1]
  if not client then
    vim.notify("ghostd does not serve this buffer", vim.log.levels.WARN)
    return
  end
  local argument = vim.lsp.util.make_position_params(0, client.offset_encoding)
  argument.maxTokens = tokens
  client:request("workspace/executeCommand", { command = "ghostd.context", arguments = { argument } }, function(failure, report)
    if failure then
      vim.notify("ghostd: " .. failure.message, vim.log.levels.ERROR)
      return
    end
    vim.cmd("botright new")
    local buffer = vim.api.nvim_get_current_buf()
    vim.bo[buffer].buftype = "nofile"
    vim.bo[buffer].bufhidden = "wipe"
    vim.bo[buffer].swapfile = false
    vim.bo[buffer].filetype = "markdown"
    vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines_of(report))
    vim.bo[buffer].modifiable = false
  end, 0)
end

local next_edit_marks = vim.api.nvim_create_namespace("ghostd.next_edit")

--- Where an action that makes one edit makes it: URI and range.
local function place_of(action)
  local edit = action.edit or {}
  for _, changed in ipairs(edit.documentChanges or {}) do
    return changed.textDocument.uri, changed.edits[1].range
  end
  for uri, edits in pairs(edit.changes or {}) do
    return uri, edits[1].range
  end
end

--- Do what was chosen for a next edit; unless that changed the same file, be back at `from`.
local function take(client, action, uri, from)
  if action and action.edit then
    vim.lsp.util.apply_workspace_edit(action.edit, client.offset_encoding)
  elseif action and action.command then
    client:exec_cmd(action.command, { bufnr = from.buffer })
  end
  local stays = action and action.edit and uri == vim.uri_from_bufnr(from.buffer)
  if not stays and vim.api.nvim_buf_is_valid(from.buffer) and vim.api.nvim_win_is_valid(from.window) then
    vim.api.nvim_set_current_win(from.window)
    vim.api.nvim_win_set_buf(from.window, from.buffer)
    pcall(vim.api.nvim_win_set_cursor, from.window, from.cursor)
  end
end

--- Go to the place that is to be edited next, and ask what to do there.
function M.next_edit()
  local client = vim.lsp.get_clients({ name = "ghostd", bufnr = 0 })[1]
  if not client then
    vim.notify("ghostd does not serve this buffer", vim.log.levels.WARN)
    return
  end
  local from = {
    buffer = vim.api.nvim_get_current_buf(),
    window = vim.api.nvim_get_current_win(),
    cursor = vim.api.nvim_win_get_cursor(0),
    tick = vim.b.changedtick,
  }
  local params = vim.lsp.util.make_range_params(from.window, client.offset_encoding)
  params.context = { diagnostics = {}, only = { "quickfix.ghostd.nextEdit" }, triggerKind = 1 }
  client:request("textDocument/codeAction", params, function(failure, actions)
    if failure then
      vim.notify("ghostd: " .. failure.message, vim.log.levels.ERROR)
      return
    end
    local uri, range = nil, nil
    if actions and actions[1] then
      uri, range = place_of(actions[1])
    end
    if not uri then
      vim.notify("ghostd: nothing to edit next")
      return
    end
    if vim.api.nvim_get_current_buf() ~= from.buffer or vim.b.changedtick ~= from.tick then
      return -- the user went on
    end
    vim.lsp.util.show_document({ uri = uri, range = range }, client.offset_encoding, { focus = true })
    local buffer = vim.api.nvim_get_current_buf()
    local first, last = range.start.line, range["end"].line
    vim.api.nvim_buf_set_extmark(buffer, next_edit_marks, first, 0, { end_row = last + 1, hl_group = "Visual", hl_eol = true, strict = false })
    vim.cmd.redraw()
    vim.ui.select(actions, {
      prompt = "ghostd:",
      kind = "ghostd.next_edit",
      format_item = function(action)
        return action.title
      end,
    }, function(action)
      if vim.api.nvim_buf_is_valid(buffer) then
        vim.api.nvim_buf_clear_namespace(buffer, next_edit_marks, 0, -1)
      end
      take(client, action, uri, from)
    end)
  end, from.buffer)
end

--- Start ghostd for every buffer that it serves.
---@param options ghostd.Options?
function M.setup(options)
  if not vim.lsp.config then
    error("ghostd needs Neovim 0.11 or newer")
  end
  options = vim.tbl_extend("force", defaults, options or {})
  vim.lsp.config("ghostd", {
    cmd = options.cmd,
    filetypes = options.filetypes,
    root_markers = options.root_markers,
    init_options = options.init_options,
  })
  local group = vim.api.nvim_create_augroup("ghostd", {})
  vim.api.nvim_create_autocmd("LspAttach", {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == "ghostd" then
        attach(client, event.buf, options)
      end
      tell_served()
    end,
  })
  -- The client that detaches is still listed while the event is handled.
  vim.api.nvim_create_autocmd("LspDetach", {
    group = group,
    callback = function()
      vim.schedule(tell_served)
    end,
  })
  vim.api.nvim_create_user_command("GhostdContext", function(command)
    M.context(tonumber(command.args))
  end, { nargs = "?", desc = "Show what a prompt would quote of the project at the cursor" })
  vim.api.nvim_create_user_command("GhostdNextEdit", M.next_edit, { desc = "Go to what ghostd proposes to edit next" })
  vim.lsp.enable("ghostd")
end

return M
