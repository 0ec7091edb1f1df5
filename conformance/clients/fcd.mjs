// The protocol between the conformance suite of fakeentra and a driver: a request a
// line on standard input, an answer a line on standard output. All that is logged
// goes to standard error.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

console.log = console.info = console.debug = console.error;

/** The client cannot do what it was asked for. */
export class Skip extends Error {}

/** Returns packages as they are installed. */
export const dependencies = (base, ...names) =>
  names.map((name) => ({ name, version: JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, base))).version }));

const failure = (error) => ({
  kind: error.name === "AbortError" ? "cancelled" : "other",
  message: `${error.name}: ${error.message}`,
});

/** What the i-th of several callers asks for. */
const caller = (request, i) => (request.tenants ? { ...request, tenant: request.tenants[i % request.tenants.length] } : request);

/** Answers requests. opened makes a client from a configuration; its methods token,
 * mi_token and resource return what an outcome has. */
export async function serve(hello, opened) {
  const clients = new Map();

  async function once(client, request) {
    const { timeout_ms, cancel_after_ms } = request;
    const after = timeout_ms || cancel_after_ms;
    const abort = new AbortController();
    const timer = after && setTimeout(() => abort.abort(), after);
    try {
      return await client[request.op](request, after ? abort.signal : undefined);
    } catch (error) {
      if (error instanceof Skip) throw error;
      return { error: { ...failure(error), ...(abort.signal.aborted && { kind: timeout_ms ? "timeout" : "cancelled" }) } };
    } finally {
      clearTimeout(timer);
    }
  }

  async function answer(request) {
    const client = clients.get(request.session);
    switch (request.op) {
      case "hello":
        return { protocol: 1, ...hello };
      case "open":
        clients.set(request.session, await opened(request.config));
        return {};
      case "setenv":
        Object.assign(process.env, request.vars);
        return {};
      case "close":
      case "stop":
        clients.delete(request.session);
        return {};
    }
    if (!client?.[request.op]) throw new Skip(`the driver does not know the operation ${request.op}`);
    return { results: await Promise.all(Array.from({ length: request.n || 1 }, (_, i) => once(client, caller(request, i)))) };
  }

  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const out = await answer(request).then(
      (ok) => ({ ok }),
      (error) => (error instanceof Skip ? { skip: { reason: error.message } } : { error: failure(error) }),
    );
    process.stdout.write(`${JSON.stringify({ id: request.id, ...out })}\n`);
    if (request.op === "stop") break;
  }
  process.exit(0);
}
