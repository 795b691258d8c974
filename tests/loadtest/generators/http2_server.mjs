// A server of HTTP/2 by nghttp2, for tests: node http2_server.mjs [PEM]; prints its port.
import {readFileSync} from "node:fs";
import {createSecureServer, createServer} from "node:http2";

const pem = process.argv[2] && readFileSync(process.argv[2]);
const settings = {maxConcurrentStreams: Number(process.env.STREAMS || 100), initialWindowSize: 20_000};
const server = pem ? createSecureServer({key: pem, cert: pem, settings}) : createServer({settings});
let sessions = 0, streams = 0;
server.on("session", () => { sessions++; });
server.on("stream", (stream, headers) => {
  const path = headers[":path"];
  let size = 0, sum = 0;
  streams++;
  stream.on("error", () => {});
  stream.on("data", part => { size += part.length; for (const byte of part) sum = (sum + byte) % 65521; });
  if (path === "/goaway" && streams === 5) stream.session.goaway();
  if (path === "/reset") return stream.close(2);
  if (path === "/silent") return;
  if (path === "/break" && streams % 5 === 0) return stream.session.destroy();
  if (path === "/early") return stream.respond({":status": 413}, {endStream: true});
  stream.on("end", () => {
    stream.respond({":status": path === "/busy" ? 503 : 200, "x-host": headers[":authority"]});
    stream.end(path === "/count" ? JSON.stringify({sessions, size, sum}) : path === "/large" ? "x".repeat(300_000) : "ok");
  });
});
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
setInterval(() => console.error(JSON.stringify({sessions, streams})), 50);
