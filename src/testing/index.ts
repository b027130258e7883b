/** For tests: contract suites that every store must pass, and a local identity provider. */
export * from "./authority/index.ts";
export * from "./contract/index.ts";
