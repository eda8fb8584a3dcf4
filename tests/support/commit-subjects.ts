import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** What is checked: commits made since this rule. A date, not a commit, because a clone of any depth knows it. */
const since = '2026-11-29T09:00:00Z';
const longest = 72;

/** What is wrong with the subject of a commit, if anything. Merges have no area in front. */
export function subjectProblem(subject: string): string | undefined {
  if (subject.length > longest) return `has ${subject.length} characters, ${longest} are allowed`;
  if (/^Merge \S/.test(subject) || /^[a-z][a-z0-9/-]*(, [a-z][a-z0-9/-]*)*: \S/.test(subject)) return undefined;
  return 'names no area in front, as in "losses: what the commit claims"';
}

/**
 * The commits of a clone whose subjects have a problem, one a line; of an archive without history none. Errors: those
 * of git.
 */
export function subjectProblems(folder: string): string[] {
  if (!existsSync(join(folder, '.git'))) return [];
  // In a container the clone often belongs to another user, which git refuses unless it is told.
  const asIs = ['-c', `safe.directory=${folder}`, '-C', folder];
  const log = execFileSync('git', [...asIs, 'log', `--since=${since}`, '--format=%h %s'], { encoding: 'utf8' });
  return log
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const subject = line.slice(line.indexOf(' ') + 1);
      const problem = subjectProblem(subject);
      return problem === undefined ? [] : [`${line}: ${problem}`];
    });
}
