// Runs one service of `emulate` on loopback: node emulate.mjs SERVICE PORT SEED, where SEED is JSON.

import http from "node:http";
import net from "node:net";
import { createEmulator } from "emulate";

const [service, port, seed] = process.argv.slice(2);

// It listens on all interfaces by itself, and nobody else is to reach it.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (at, ...rest) {
  return listen.call(this, typeof at === "number" ? { port: at, host: "127.0.0.1" } : at, ...rest);
};

// A server of a company's own has GitHub's API under this path of its host; emulate has it at the root.
const emit = http.Server.prototype.emit;
http.Server.prototype.emit = function (event, request, ...rest) {
  if (event === "request") request.url = request.url.replace(/^\/api\/v3\//, "/");
  return emit.call(this, event, request, ...rest);
};

const emulator = await createEmulator({
  service,
  port: Number(port),
  baseUrl: `http://127.0.0.1:${port}`,
  seed: JSON.parse(seed),
});
console.log(`listening on ${emulator.url}`);
