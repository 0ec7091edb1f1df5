// Makes Node.js open its connections through the proxy that HTTPS_PROXY names,
// by CONNECT, whatever they are for. Preload it:
//
//   NODE_OPTIONS=--require=/path/of/fakeentra-node.cjs
//
// fetch, node:http and node:https know proxies as of Node.js 22.21 and 24.5 at
// best, and those with an agent of their own never do. All of them, TLS, HTTP/2
// and other people's protocols connect by net.Socket, so that is what changes.
// What the proxy refuses fails as a refused connection. Loopback addresses, the
// hosts in NO_PROXY, pipes and everything that listens stay as they are.
"use strict";

const net = require("net");
const { pipeline } = require("stream");

const direct = net.Socket.prototype.connect;
const { env } = process;
const proxy = findProxy(env.https_proxy || env.HTTPS_PROXY);
const bypassed = (env.no_proxy || env.NO_PROXY || "").toLowerCase().split(/[\s,]+/);

if (proxy) {
  net.Socket.prototype.connect = connect;
}

function findProxy(url) {
  if (!url) {
    return null;
  }
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port || 80 };
}

// connect is net.Socket.prototype.connect for other machines.
function connect(...args) {
  const [options, callback] = normalize(args);
  if (!isRemote(options)) {
    return direct.apply(this, args);
  }
  if (callback) {
    this.once("connect", callback);
  }
  this.connecting = true; // as while a name is looked up
  openTunnel(this, options);
  return this;
}

// normalize understands connect(options, callback), connect(port, host,
// callback) and, with both in an array, what net and tls call it with.
function normalize(args) {
  if (Array.isArray(args[0])) {
    args = args[0];
  }
  const last = args[args.length - 1];
  const callback = typeof last === "function" ? last : null;
  if (typeof args[0] === "object" && args[0] !== null) {
    return [args[0], callback];
  }
  if (typeof args[0] === "string" && !(Number(args[0]) >= 0)) {
    return [{ path: args[0] }, callback];
  }
  return [{ port: args[0], host: typeof args[1] === "string" ? args[1] : undefined }, callback];
}

// isRemote leaves bad arguments to Node.js, which complains of them.
function isRemote({ path, host, port }) {
  const valid = typeof host === "string" && Number(port) >= 0 && Number(port) < 65536;
  return !path && valid && !isLoopback(host) && !isBypassed(host.toLowerCase().replace(/\.$/, ""));
}

function isLoopback(host) {
  return /^$|^(.*\.)?localhost\.?$|^(::ffff:)?(127\.[\d.]+|0\.0\.0\.0)$|^::1?$/i.test(host);
}

// isBypassed knows names, and domains with a dot before them.
function isBypassed(host) {
  return bypassed.some((entry) => entry === host || (entry.startsWith(".") && host.endsWith(entry)));
}

// openTunnel asks the proxy for a connection, and connects the socket with it.
function openTunnel(socket, { host, port, ...options }) {
  const tunnel = new net.Socket({ allowHalfOpen: true });
  const abandon = () => tunnel.destroy();
  const fail = (reason) => {
    abandon();
    socket.destroy(refusal(host, port, reason));
  };
  socket.once("close", abandon);
  tunnel.once("error", (err) => fail(`the proxy does not answer: ${err.message}`));
  tunnel.once("end", () => fail("the proxy closed the connection"));
  const to = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
  direct.call(tunnel, proxy, () => tunnel.write(`CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`));
  readAnswer(tunnel, (status, reason) => {
    if (status !== "200") {
      fail(reason);
      return;
    }
    tunnel.removeAllListeners("error").removeAllListeners("end");
    lend(tunnel, socket, (port) => {
      socket.once("connect", () => socket.removeListener("close", abandon));
      direct.call(socket, { ...options, host: "127.0.0.1", port, family: 4, autoSelectFamily: false, localAddress: undefined, localPort: undefined });
    });
  });
}

function refusal(host, port, reason) {
  const err = new Error(`connect ECONNREFUSED ${host}:${port}: ${reason}`);
  return Object.assign(err, { code: "ECONNREFUSED", syscall: "connect", address: host, port: Number(port) });
}

// readAnswer reads the head of an answer, and leaves what follows it.
function readAnswer(tunnel, done) {
  let head = Buffer.alloc(0);
  tunnel.on("data", function read(chunk) {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) {
      return;
    }
    tunnel.removeListener("data", read).pause();
    if (head.length > end + 4) {
      tunnel.unshift(head.subarray(end + 4));
    }
    const [, status, reason] = /^\S* ?(\S*) ?([^\r]*)/.exec(head.toString("latin1"));
    done(status, reason);
  });
}

// lend makes a tunnel the other end of a port of the loopback interface: there
// is no way to give a socket that exists, and may have TLS in it, a connection.
// Neither keeps the process alive, which is for the socket to do. exclusive keeps
// the port from the other processes of a cluster.
function lend(tunnel, socket, done) {
  const server = net.createServer({ allowHalfOpen: true }, (near) => {
    server.close();
    near.unref();
    tunnel.unref();
    pipeline(near, tunnel, () => {});
    pipeline(tunnel, near, () => {});
  });
  const close = () => server.close();
  socket.once("close", close);
  server.once("error", (err) => socket.destroy(err));
  server.listen({ host: "127.0.0.1", port: 0, exclusive: true }, () => {
    server.unref();
    socket.once("connect", () => socket.removeListener("close", close));
    if (!socket.destroyed) {
      done(server.address().port);
    }
  });
}
