// SPDX-License-Identifier: MIT
// Perfetto's trace processor, as its web page has it, over stdin and stdout.
//
// Usage: node trace_processor.js FOLDER, where the page's engine_bundle.js and its .wasm files are.
// The bundle is made for a worker of a browser: this gives it what it uses of one.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const folder = process.argv[2];
const stdin = process.stdin;
const port = {
	postMessage(reply) {
		for (let sent = 0; sent < reply.length; )
			sent += fs.writeSync(1, reply, sent);
	},
};

globalThis.self = globalThis;
globalThis.location = { href: "" };
globalThis.WorkerGlobalScope = class {};
globalThis.XMLHttpRequest = class {
	open(method, name) {
		this.name = name;
	}
	send() {
		this.response = fs.readFileSync(path.join(folder, this.name));
	}
};
console.log = console.warn = console.error;
delete globalThis.process; // a worker of a browser has none

vm.runInThisContext(fs.readFileSync(path.join(folder, "engine_bundle.js"), "utf8"));
self.onmessage({ data: port });
stdin.on("data", (data) => port.onmessage({ data: new Uint8Array(data) }));
