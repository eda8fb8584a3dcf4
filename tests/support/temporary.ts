import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * All temporary files of a test run lie in one folder, which goes when the run ends, also what a killed process
 * left, and the rows that were made tokens.
 */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'reanchor-tests-'));
  process.env.TMPDIR = folder;
  process.env.REANCHOR_TOKENS = join(folder, 'tokens');
  return () => rmSync(folder, { recursive: true, force: true });
}
