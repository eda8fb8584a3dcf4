/** Who may ask: holders of the token, from this machine's names, from the dashboard's own page. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { hostname, networkInterfaces } from 'node:os';
import { UsageError } from '../errors.js';

/** A token that cannot be guessed. */
export const newToken = () => randomBytes(24).toString('base64url');

/** Whether two texts are equal, in a time that does not depend on where they differ. */
export function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/**
 * The names under which a server on `host` may be called. A page elsewhere that makes its name mean this machine's
 * address sends its own name and is refused. Ports do not matter: one may be forwarded.
 */
export function allowedHosts(host: string): Set<string> {
  const hosts = ['localhost', '127.0.0.1', '[::1]', hostPart(host)];
  if (isEverywhere(host)) {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    hosts.push(hostname(), ...addresses.map(({ address }) => hostPart(address)));
  }
  return new Set(hosts.map((name) => name.toLowerCase()));
}

/** Whether a server on `host` can be reached from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

const isEverywhere = (host: string) => host === '0.0.0.0' || host === '::';

/** The address in the URL of a server on `host` at `address`: this machine's own where that is all of its addresses. */
export function addressPart(host: string, address: string): string {
  if (isEverywhere(host)) return hostPart(host === '::' ? '::1' : '127.0.0.1');
  // What a name stands for is said by its number: another server may have the name's other address.
  return hostPart(host === 'localhost' ? address : host);
}

/** A host as it stands in a URL. */
const hostPart = (host: string) => (host.includes(':') ? `[${host}]` : host);

/** The name in a Host header, in small letters, without its port; undefined for what is no name. */
export function hostOf(header: string | undefined): string | undefined {
  return /^(\[[\da-f:.]+\]|[\w.-]+)(:\d{1,5})?$/i.exec(header ?? '')?.[1]?.toLowerCase();
}

/**
 * The token that a request brings: `Authorization: Bearer TOKEN`, as the page sends it, or `?token=TOKEN`. Not a
 * cookie: browsers send those to every port of a machine, whoever listens there.
 */
export function givenToken(authorization: string | undefined, query: string | undefined): string {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? query ?? '';
}

/** Errors: UsageError for what is no name or address. */
export function requireHost(host: string): void {
  if (hostOf(hostPart(host)) === undefined) {
    throw new UsageError(
      (option) => `${option('host')}: ${JSON.stringify(host)} is no name or address; 127.0.0.1 or 0.0.0.0 are`,
    );
  }
}
