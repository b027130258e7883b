/** The little of `oidc-provider` (9.13.3, which brings no types) that the tests use. */
declare module "oidc-provider" {
  import type { RequestListener } from "node:http";

  interface TokenEndpointContext {
    readonly body: Readonly<Record<string, unknown>>;
    readonly oidc: { readonly params: Readonly<Record<string, unknown>> };
  }

  export class Provider {
    constructor(issuer: string, configuration: object);
    callback(): RequestListener;
    on(event: "grant.success" | "grant.error", listener: (context: TokenEndpointContext) => void): this;
    on(event: "server_error", listener: (context: unknown, error: Error) => void): this;
  }
}
