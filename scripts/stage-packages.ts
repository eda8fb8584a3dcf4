/** The packages as they are published: folders with exactly what npm packs of them, and the manifests of releases. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileForPublication } from '#torch/build.js';
import { locateLibtorch } from '#torch/locate.js';
import { repositoryRoot } from '../tests/support/repository.js';
import { type Manifest, prebuiltManifest, publishedManifest } from './release-files.js';

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Manifest;
const write = (path: string, manifest: Manifest) => writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);

/** The workspaces in the order in which they are published: each after those that it depends on. */
export const workspaces = ['torch', 'dashboard', 'reanchor'] as const;

/**
 * Writes a folder of each package below `out`, and returns them in the order in which they are published. What npm
 * packs decides what is in them; their prepack scripts have run.
 */
export async function stagePackages(out: string): Promise<string[]> {
  const prebuilt = await stagePrebuilt(join(out, 'torch-linux-x64-gnu'));
  return [prebuilt, ...workspaces.map((name) => stageWorkspace(name, join(out, name), read(manifestOf(prebuilt))))];
}

const manifestOf = (folder: string) => join(folder, 'package.json');

function stageWorkspace(name: string, folder: string, prebuilt: Manifest): string {
  const packed = mkdtempSync(join(tmpdir(), 'reanchor-packed-'));
  try {
    const args = ['pack', '--silent', '--pack-destination', packed, '-w', `packages/${name}`];
    const tarball = execFileSync('npm', args, { cwd: repositoryRoot, encoding: 'utf8' }).trim().split('\n').at(-1)!;
    execFileSync('tar', ['-xzf', join(packed, tarball), '-C', packed]);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, '..'), { recursive: true });
    renameSync(join(packed, 'package'), folder);
  } finally {
    rmSync(packed, { recursive: true });
  }
  write(manifestOf(folder), publishedManifest(read(manifestOf(folder)), prebuilt));
  return folder;
}

/** The package of this platform with the addon for the libtorch that is installed here. Returns its folder. */
export async function stagePrebuilt(folder: string): Promise<string> {
  rmSync(folder, { recursive: true, force: true });
  const file = await compileForPublication(locateLibtorch(), folder);
  const key = file.split('/').at(-2)!;
  const torch = join(repositoryRoot, 'packages/torch');
  const manifest = prebuiltManifest(read(manifestOf(torch)), key);
  write(manifestOf(folder), manifest);
  copyFileSync(join(torch, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(
    join(folder, 'README.md'),
    `# ${manifest.name}\n\nThe compiled addon of @reanchor/torch for 64-bit Linux with glibc, which \`npx reanchor setup\` takes where\n` +
      'it fits: by the version of libtorch, the sources and the flags. Nothing else uses it.\n',
  );
  return folder;
}
