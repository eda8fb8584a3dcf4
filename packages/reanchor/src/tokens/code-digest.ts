/** A digest of the program that makes rows tokens: what it made before it was changed is made anew. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFileSync } from '../formats/index.js';

const rooms = ['data', 'formats', 'text', 'tokens'];

let known: string | undefined;

export function codeDigest(): string {
  known ??= digest();
  return known;
}

function digest(): string {
  const hash = createHash('sha256');
  for (const room of rooms) {
    const folder = fileURLToPath(new URL(`../${room}/`, import.meta.url));
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((one) => /\.[jt]s$/.test(one) && !/\.(test|d)\.ts$/.test(one)).sort()) {
      hash.update(name).update(readFileSync(join(folder, name)));
    }
  }
  return hash.digest('hex');
}
