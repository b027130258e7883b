/** Who is who: tenants, people, registrations and APIs, found by any of their names. */
import { OptionsError } from "../../errors.ts";
import {
  DEFAULT_APPS,
  DEFAULT_TENANTS,
  DEFAULT_USERS,
  guidFrom,
  resolveResources,
  type AuthorityApp,
  type AuthorityResource,
  type LocalAuthorityOptions,
} from "./options.ts";

/** A tenant. */
export interface Tenant {
  /** A domain. */
  readonly name: string;
  /** A GUID. */
  readonly tenantId: string;
}

/** A person, resolved. */
export interface Person {
  /** The sign-in name. */
  readonly username: string;
  /** The display name. */
  readonly name: string;
  /** The tenant the person belongs to. */
  readonly home: Tenant;
  /** Object id in the home tenant: the `uid` of the home account id. */
  readonly oid: string;
  /** Object id by tenant id, home tenant included. */
  readonly oids: ReadonlyMap<string, string>;
}

/** A registration; its secret can be rotated. */
export interface Registration extends AuthorityApp {
  readonly name: string;
  readonly isPublic: boolean;
}

/** Finds things. All lookups ignore case, as Entra ID does. */
export interface Directory {
  readonly tenants: readonly Tenant[];
  readonly people: readonly Person[];
  readonly resources: readonly AuthorityResource[];
  /** By GUID or name. */
  tenant(nameOrId: string): Tenant | undefined;
  /** By sign-in name or object id (of any tenant). */
  person(usernameOrOid: string): Person | undefined;
  app(clientId: string): Registration | undefined;
  apps(): readonly Registration[];
  /** By audience, by its registration's client id, or by `api://<client id>`. */
  resource(audience: string): AuthorityResource | undefined;
  replaceSecret(clientId: string, clientSecret: string): void;
  secrets(): readonly string[];
}

const same = (a: string | undefined, b: string): boolean => a?.toLowerCase() === b.toLowerCase();

/** Builds the directory; refuses options that contradict each other. */
export function createDirectory(options: LocalAuthorityOptions): Directory {
  const tenants = Object.entries(options.tenants ?? DEFAULT_TENANTS).map(([name, tenantId]) => ({
    name,
    tenantId: tenantId.toLowerCase(),
  }));
  const tenant = (nameOrId: string): Tenant | undefined =>
    tenants.find((known) => same(known.tenantId, nameOrId) || same(known.name, nameOrId));
  const people = resolvePeople(options, tenant);
  const resources = resolveResources(options.resources);
  const apps = new Map(
    (options.apps ?? DEFAULT_APPS).map((app) => [app.clientId.toLowerCase(), register(app)]),
  );
  return {
    tenants,
    people,
    resources,
    tenant,
    person: (usernameOrOid) =>
      people.find(
        (person) =>
          same(person.username, usernameOrOid) ||
          [...person.oids.values()].includes(usernameOrOid.toLowerCase()),
      ),
    app: (clientId) => apps.get(clientId.toLowerCase()),
    apps: () => [...apps.values()],
    resource: (audience) =>
      resources.find(
        (known) =>
          same(known.audience, audience) ||
          (known.clientId !== undefined &&
            (same(known.clientId, audience) || same(`api://${known.clientId}`, audience))),
      ),
    replaceSecret(clientId, clientSecret) {
      const app = apps.get(clientId.toLowerCase());
      if (app === undefined) throw new OptionsError("clientId", "names no registration of this authority");
      apps.set(clientId.toLowerCase(), register({ ...app, clientSecret }));
    },
    secrets: () => [...apps.values()].flatMap((app) => app.clientSecret ?? []),
  };
}

function register(app: AuthorityApp): Registration {
  return {
    ...app,
    name: app.name ?? app.clientId,
    isPublic: app.clientSecret === undefined && !app.publicKeys?.length && !app.federatedCredentials?.length,
  };
}

function resolvePeople(
  options: LocalAuthorityOptions,
  tenant: (nameOrId: string) => Tenant | undefined,
): readonly Person[] {
  return (options.users ?? DEFAULT_USERS).map((user) => {
    const home = tenant(user.tenant);
    if (home === undefined) throw new OptionsError("users", `has a tenant that is not in \`tenants\``);
    const oid = (user.oid ?? guidFrom(`user:${user.username.toLowerCase()}`)).toLowerCase();
    const oids = new Map([[home.tenantId, oid]]);
    for (const name of user.guestOf ?? []) {
      const host = tenant(name);
      if (host === undefined) throw new OptionsError("users", "is a guest of a tenant not in `tenants`");
      oids.set(host.tenantId, guidFrom(`guest:${user.username.toLowerCase()}:${host.tenantId}`));
    }
    return { username: user.username, name: user.name, home, oid, oids };
  });
}
