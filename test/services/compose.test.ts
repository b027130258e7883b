import { expect, test } from "vitest";
import { read } from "../docs/documents.ts";

/** Addresses in the comment, ports and credentials in the file: nobody runs it here, so they must at least agree. */
test("compose.yaml offers the servers at the addresses that it tells to use", () => {
  const text = read("compose.yaml");
  const ports = [...text.matchAll(/127\.0\.0\.1:(\d+):\d+/g)].map(([, port]) => port);
  const urls = [...text.matchAll(/(TOKENKEEP_\w+_URL)=(\S+)/g)].map(([, name, url = ""]) => ({
    name,
    url: new URL(url),
  }));
  expect(urls.map(({ name }) => name)).toEqual(["TOKENKEEP_REDIS_URL", "TOKENKEEP_POSTGRES_URL"]);
  const [, older] = /with port (\d+) is PostgreSQL 15/.exec(text) ?? [];
  expect([...urls.map(({ url }) => url.port), older]).toEqual(ports);
  const postgres = urls[1]!.url;
  expect(text).toContain(`POSTGRES_USER: ${postgres.username}`);
  expect(text).toContain(`POSTGRES_PASSWORD: ${postgres.password}`);
});
