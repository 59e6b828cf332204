// Tabby's own agent asks for a completion and tells what became of it. Arguments: the folder with its package, the server.
import { createRequire } from "node:module";

const { TabbyAgent } = createRequire(process.argv[2] + "/")("tabby-agent");
const agent = new TabbyAgent();
const issues = [];
agent.on("issuesUpdated", (event) => issues.push(...event.issues));
const server = { endpoint: process.argv[3], token: "unused" };
await agent.initialize({ config: { server, anonymousUsageTracking: { disable: true } } });
const before = "def add(a, b):\n    ";
const reply = await agent.provideCompletions({
  filepath: "src/add.py",
  language: "python",
  text: before + "\n\nadd(1, 2)\n",
  position: before.length,
  manually: true,
});
const seen = { completion_id: reply.id, choice_index: 0, view_id: "v1" };
const noted = [
  await agent.postEvent({ type: "view", ...seen }),
  await agent.postEvent({ type: "select", ...seen, elapsed: 5 }),
];
console.log(JSON.stringify({ reply, noted, issues, status: agent.getStatus(), health: agent.getServerHealthState() }));
process.exit(0);
