// Releases the packages: npm run release -- VERSION [--dry-run]. CONTRIBUTING.md says what it does when.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../tests/support/repository.js';
import {
  type Manifest,
  plainAddress,
  releasedChangelog,
  versionProblem,
  warningsOf,
  withVersion,
} from './release-files.js';
import { stagePackages, workspaces } from './stage-packages.js';

const git = (...args: string[]) => execFileSync('git', args, { cwd: repositoryRoot, encoding: 'utf8' }).trim();
const npm = (...args: string[]) => execFileSync('npm', args, { cwd: repositoryRoot, stdio: 'inherit' });
const pathOf = (file: string) => join(repositoryRoot, file);
const manifests = workspaces.map((name) => `packages/${name}/package.json`);
const readManifest = (file: string) => JSON.parse(readFileSync(pathOf(file), 'utf8')) as Manifest;

function fail(message: string): never {
  console.error(`error: ${message}`);
  process.exit(1);
}

/** What has to hold before anything is changed. */
function requireReady(version: string, isDry: boolean): void {
  const problem = versionProblem(version, readManifest(manifests[0]!).version);
  if (problem) fail(problem);
  const changes = git('status', '--porcelain');
  if (changes !== '') fail(`the tree is not clean; commit or stash these first:\n${changes}`);
  const { repository } = JSON.parse(readFileSync(pathOf('package.json'), 'utf8')) as { repository: string };
  const origin = spawnSync('git', ['remote', 'get-url', 'origin'], { cwd: repositoryRoot, encoding: 'utf8' }).stdout;
  if (plainAddress(origin) === plainAddress(repository)) return;
  const words =
    `package.json has the repository ${plainAddress(repository)}, and origin is ${plainAddress(origin) || 'not set'}: ` +
    'set the real address everywhere, as CONTRIBUTING.md says';
  if (!isDry) fail(words);
  console.warn(`note: ${words}; a release stops here`);
}

/** Brings manifests, lock file and changelog to the version. Returns whether they were at another one. */
function setVersion(version: string): boolean {
  const names = manifests.map((file) => readManifest(file).name);
  for (const file of manifests) {
    writeFileSync(pathOf(file), `${JSON.stringify(withVersion(readManifest(file), version, names), null, 2)}\n`);
  }
  const today = new Date().toISOString().slice(0, 10);
  writeFileSync(
    pathOf('CHANGELOG.md'),
    releasedChangelog(readFileSync(pathOf('CHANGELOG.md'), 'utf8'), version, today),
  );
  npm('install', '--package-lock-only', '--ignore-scripts', '--silent');
  return git('status', '--porcelain') !== '';
}

/** Publishes a folder, or tries to. Errors: Error with what npm warns of. */
function publish(folder: string, isDry: boolean): void {
  // A silent `npm run` would have npm keep its warnings to itself.
  const args = ['publish', folder, '--loglevel', 'notice', ...(isDry ? ['--dry-run'] : [])];
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: repositoryRoot, encoding: 'utf8' });
  const warnings = warningsOf(stderr);
  if (status !== 0 || warnings.length > 0) throw new Error(`npm ${args.join(' ')}:\n${warnings.join('\n') || stderr}`);
  console.log(stdout.trim());
}

/** Builds all anew, so that nothing of a source that is gone is published, and publishes each package. */
async function publishAll(isDry: boolean): Promise<void> {
  for (const name of workspaces) rmSync(pathOf(`packages/${name}/dist`), { recursive: true, force: true });
  npm('run', '--silent', 'build');
  const folders = await stagePackages(pathOf('build'));
  for (const folder of folders) publish(folder, true);
  if (!isDry) for (const folder of folders) publish(folder, false);
}

const isDry = process.argv.includes('--dry-run');
const [version, ...others] = process.argv.slice(2).filter((word) => word !== '--dry-run');
if (version === undefined || others.length > 0) fail('usage: npm run release -- VERSION [--dry-run]');
requireReady(version, isDry);
try {
  const isChanged = setVersion(version);
  if (isDry) {
    await publishAll(true);
    console.log(`all packages can be published as ${version}`);
  } else if (isChanged) {
    git('commit', '--quiet', '--all', '--message', `release: ${version}`);
    git('tag', `v${version}`);
    console.log(`committed and tagged v${version}: push both; the same command, run at the tag, publishes`);
  } else {
    if (git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`)) await publishAll(false);
    else throw new Error(`HEAD is at ${version}, but has no tag v${version}: check out the tag, and run this again`);
  }
} catch (error) {
  console.error(`error: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  if (isDry) git('checkout', '--quiet', '--', '.');
}
