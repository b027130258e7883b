/** A Redis server that speaks TLS alone and knows its users by an ACL file. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import { redisProgram } from "./redis.ts";
import { startServer, type Server } from "./server.ts";

/** With Redis alone there is no certificate: openssl makes one. */
export interface TlsRedis extends Server {
  /** PEM of the certificate to trust. */
  readonly ca: string;
  /** Empties it, as `admin`, who may do everything. */
  flush(): Promise<void>;
}

/** Only TLS, no default user; `acl` holds the lines of the ACL file besides that of `admin`, password `admin`. */
export async function startTlsRedis(acl: readonly string[]): Promise<TlsRedis> {
  const secrets = mkdtempSync(join(tmpdir(), "tokenkeep-tls-"));
  const [cert, key] = makeCertificate(secrets);
  const aclFile = join(secrets, "users.acl");
  writeFileSync(aclFile, ["user default off", "user admin on >admin ~* &* +@all", ...acl, ""].join("\n"));
  const ca = readFileSync(cert, "utf8");
  const asAdmin = async (port: number, args: string[]): Promise<void> => {
    const socket = { host: "localhost", port, tls: true as const, ca, reconnectStrategy: false as const };
    const client = createClient({ socket, username: "admin", password: "admin" });
    client.on("error", () => undefined);
    await client.connect();
    try {
      await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  };
  const server = await startServer({
    name: "redis-tls",
    program: redisProgram ?? "redis-server",
    args: ({ port, folder }) =>
      [
        `--port 0 --tls-port ${port} --tls-auth-clients no --aclfile ${aclFile}`,
        `--tls-cert-file ${cert} --tls-key-file ${key} --tls-ca-cert-file ${cert}`,
        `--bind 127.0.0.1 --dir ${folder} --appendonly no`,
      ]
        .flatMap((words) => words.split(" "))
        .concat("--save", ""),
    answers: ({ port }) => asAdmin(port, ["PING"]),
  });
  return {
    ...server,
    ca,
    flush: () => asAdmin(server.port, ["FLUSHALL"]),
    async stop() {
      await server.stop();
      rmSync(secrets, { recursive: true, force: true });
    },
  };
}

function makeCertificate(folder: string): [cert: string, key: string] {
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
  const request = ["-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", names];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync("openssl", ["req", ...request, ...curve, "-keyout", key, "-out", cert], { stdio: "pipe" });
  return [cert, key];
}
