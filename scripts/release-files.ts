/** What a release changes in files. */
import { prebuiltPackages } from '#torch/prebuilt.js';

/** The part of a package.json that releases know. */
export interface Manifest {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  [key: string]: unknown;
}

const form = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?$/;

/** Why a version cannot follow another one; undefined where it can. The same one can: it may be yet unpublished. */
export function versionProblem(version: string, current: string): string | undefined {
  const given = form.exec(version);
  if (!given) return `${JSON.stringify(version)} is no version: give one such as 0.2.0 or 0.2.0-beta.1`;
  if (version === current) return undefined;
  const [, ...now] = form.exec(current)!;
  const [, ...next] = given;
  for (let i = 0; i < 3; i++) {
    if (Number(next[i]) > Number(now[i])) return undefined;
    if (Number(next[i]) < Number(now[i])) return `${version} is before ${current}, the version of the packages`;
  }
  if (now[3] !== undefined && next[3] === undefined) return undefined;
  return now[3] !== undefined && next[3]! > now[3]
    ? undefined
    : `${version} is before ${current}, that of the packages`;
}

/** A manifest at a version, which the packages of `names` are asked for at, too. */
export function withVersion(manifest: Manifest, version: string, names: readonly string[]): Manifest {
  const { dependencies } = manifest;
  if (!dependencies) return { ...manifest, version };
  const moved = Object.entries(dependencies).map(([name, range]) => [name, names.includes(name) ? version : range]);
  return { ...manifest, version, dependencies: Object.fromEntries(moved) as Record<string, string> };
}

const unreleased = '## Unreleased\n';
const nothing = 'Nothing yet.';

/**
 * The changelog with what is unreleased below the heading of a version. One that has that heading stays as it is.
 * Errors: Error for one without the heading of what is unreleased, or with nothing below it.
 */
export function releasedChangelog(text: string, version: string, date: string): string {
  if (text.includes(`\n## ${version}, `)) return text;
  const start = text.indexOf(unreleased);
  if (start === -1) throw new Error('CHANGELOG.md has no heading "## Unreleased"');
  const rest = text.slice(start + unreleased.length).trimStart();
  if (rest === '' || rest.startsWith('## ') || rest.startsWith(nothing)) {
    throw new Error('CHANGELOG.md has nothing below "## Unreleased": a release says what has changed');
  }
  return `${text.slice(0, start)}${unreleased}\n${nothing}\n\n## ${version}, ${date}\n\n${rest}`;
}

/**
 * The manifest that is published of a workspace: without what only the repository needs; @reanchor/torch asks for the
 * package with its addon. In the repository it does not, since npm ci needs all that a manifest names to be published.
 */
export function publishedManifest(manifest: Manifest, prebuilt: Pick<Manifest, 'name' | 'version'>): Manifest {
  const { scripts: _scripts, devDependencies: _devDependencies, ...published } = manifest;
  if (manifest.name !== '@reanchor/torch') return published as Manifest;
  return { ...published, optionalDependencies: { [prebuilt.name]: prebuilt.version } } as Manifest;
}

/** The manifest of the package that has the addon of a key for this platform. Errors: Error where none is published. */
export function prebuiltManifest(torch: Manifest, key: string): Manifest {
  const { version, license, homepage, bugs, repository, engines, publishConfig } = torch;
  const name = prebuiltPackages[`${process.platform} ${process.arch}`];
  if (name === undefined) throw new Error(`no addon is published for ${process.platform} ${process.arch}`);
  return {
    ...{ name, version, description: 'The compiled addon of @reanchor/torch for 64-bit Linux with glibc' },
    ...{ homepage, bugs, license, repository, engines },
    ...{ os: [process.platform], cpu: [process.arch], libc: ['glibc'], files: [key], publishConfig },
  };
}

/** The lines of npm that warn or fail, but for its word that a dry run has no login. */
export const warningsOf = (output: string): string[] =>
  output
    .split('\n')
    .filter((line) => /^npm (warn|error)/i.test(line) && !/requires you to be logged in .*\(dry-run\)/.test(line));

/** Two addresses of a repository, as git and as npm write them, on one form: `github.com/owner/name`. */
export const plainAddress = (url: string): string =>
  url
    .trim()
    .replace(/^git\+/, '')
    .replace(/^\w+:\/\/([^@/]*@)?|^[^@/]*@/, '')
    .replace(/^([^/:]+):/, '$1/')
    .replace(/\.git$/, '');
