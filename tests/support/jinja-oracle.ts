// Jinja2 itself, in the environment of transformers: REANCHOR_PYTHON names a Python that has transformers and trl.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { repositoryRoot } from './repository.js';

/** A text or its hash; or the kind of what was raised, and its message. */
export type Outcome = string | [kind: string, message?: string];

const python = process.env.REANCHOR_PYTHON;
const script = join(repositoryRoot, 'tests/oracle/jinja_results.py');

function run(args: readonly string[], input: string): unknown {
  const options = { input, maxBuffer: 1 << 30, encoding: 'utf8' as const };
  const { status, stdout, stderr } = spawnSync(python!, [script, ...args], options);
  if (status !== 0) throw new Error(`${python} ${script} failed: ${stderr}`);
  return JSON.parse(stdout);
}

export const hasOracle = python !== undefined && spawnSync(python, ['-c', 'import transformers, trl']).status === 0;

/** The templates that TRL ships, by the names of their files. */
export const trlTemplates = () => run(['--trl'], '') as Record<string, string>;

interface Jobs {
  templates: readonly string[];
  variables: readonly object[];
  /** Numbers of a template and of variables. */
  cases: readonly (readonly [template: number, variables: number])[];
  /** Whether texts are given as their hashes, for many of them. */
  hashed?: boolean;
  now: readonly number[];
}

/** What Jinja2 makes of each case. */
export const jinjaResults = (jobs: Jobs) => run([], JSON.stringify(jobs)) as Outcome[];

export const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
