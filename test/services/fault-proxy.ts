/** A TCP proxy on loopback that does to connections what networks do. */
import { connect, createServer, type Socket } from "node:net";

export type Fault =
  /** Bytes pass. */
  | { readonly kind: "none" }
  /** Each chunk of an answer waits. */
  | { readonly kind: "delay"; readonly ms: number }
  /** Connections stay open and nothing passes, in either direction: a partition without a reset. */
  | { readonly kind: "blackhole" }
  /** What the client sends arrives, and no answer comes back: a half-open link. */
  | { readonly kind: "half-open" }
  /** The connection is cut after so many more bytes of answers, in the middle of a reply. */
  | { readonly kind: "cut"; readonly afterBytes: number }
  /** New connections are refused; those there are, are cut. */
  | { readonly kind: "refuse" };

export interface FaultProxy {
  readonly port: number;
  /** From now on, for connections there are and new ones. What a fault swallowed is not sent later. */
  set(fault: Fault): void;
  /** Back to normal; connections that lost bytes are cut, as a stream with a hole would be no stream. */
  heal(): void;
  /** The connections there are stay silent for ever, as behind a firewall that has forgotten them; new ones are well. */
  forget(): void;
  /** New connections lead to another port, as a name does that was given another address. */
  redirect(target: number): void;
  /** Cuts every connection now. */
  cutAll(): void;
  /** Connections there are. */
  connections(): number;
  /** Bytes that came from clients so far. */
  received(): number;
  close(): Promise<void>;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  lost: boolean;
  forgotten: boolean;
}

/** @param firstTarget where bytes go: a port on loopback */
export async function startFaultProxy(firstTarget: number): Promise<FaultProxy> {
  const links = new Set<Link>();
  let target = firstTarget;
  let fault: Fault = { kind: "none" };
  let bytesLeft = 0;
  let received = 0;

  const listener = createServer((client) => {
    if (fault.kind === "refuse") return void client.resetAndDestroy();
    const server = connect(target, "127.0.0.1");
    const link: Link = { client, server, lost: false, forgotten: false };
    links.add(link);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => cut(link));
      socket.on("close", () => cut(link));
    }
    client.on("data", (bytes) => {
      received += bytes.length;
      if (link.forgotten) return;
      if (fault.kind === "blackhole") link.lost = true;
      else server.write(bytes);
    });
    server.on("data", (bytes) => answer(link, bytes));
  });

  function answer(link: Link, bytes: Buffer): void {
    if (link.forgotten) return;
    switch (fault.kind) {
      case "none":
        link.client.write(bytes);
        return;
      case "delay":
        setTimeout(() => link.client.writable && link.client.write(bytes), fault.ms);
        return;
      case "cut":
        link.client.write(bytes.subarray(0, bytesLeft));
        bytesLeft -= bytes.length;
        if (bytesLeft <= 0) cut(link);
        return;
      default:
        link.lost = true;
    }
  }

  function cut(link: Link): void {
    links.delete(link);
    link.client.destroy();
    link.server.destroy();
  }

  function cutAll(): void {
    for (const link of links) cut(link);
  }

  await new Promise<void>((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", resolve);
  });

  return {
    port: (listener.address() as { port: number }).port,
    set(next) {
      fault = next;
      if (next.kind === "cut") bytesLeft = next.afterBytes;
      if (next.kind === "refuse") cutAll();
    },
    heal() {
      fault = { kind: "none" };
      for (const link of links) if (link.lost) cut(link);
    },
    forget() {
      fault = { kind: "none" };
      for (const link of links) link.forgotten = true;
    },
    redirect(next) {
      target = next;
    },
    cutAll,
    connections: () => links.size,
    received: () => received,
    async close() {
      cutAll();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
