// Checks the packages as npm packs them, by publint and Are The Types Wrong, as packages of ES modules alone.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { filterProblems } from '@arethetypeswrong/core/problems';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { repositoryRoot } from '../tests/support/repository.js';
import { workspaces } from './stage-packages.js';

/** How TypeScript resolves an import of these packages; from CommonJS and by its oldest way they cannot be. */
const resolutions = ['node16-esm', 'bundler'] as const;

async function problemsOf(name: string, folder: string): Promise<string[]> {
  const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder, '-w', `packages/${name}`];
  const tarball = join(folder, execFileSync('npm', args, { cwd: repositoryRoot, encoding: 'utf8' }).trim());
  const bytes = readFileSync(tarball);
  const { messages, pkg } = await publint({
    strict: true,
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer },
  });
  const lint = messages.map((message) => formatMessage(message, pkg) ?? message.code);
  const checked = await checkPackage(createPackageFromTarballData(new Uint8Array(bytes)));
  const types = !checked.types
    ? []
    : resolutions.flatMap((resolutionKind) =>
        filterProblems(checked, { resolutionKind }).map((problem) => `${resolutionKind}: ${JSON.stringify(problem)}`),
      );
  return [...lint, ...types].map((problem) => `packages/${name}: ${problem}`);
}

const folder = mkdtempSync(join(tmpdir(), 'reanchor-check-'));
try {
  const problems = (await Promise.all(workspaces.map((name) => problemsOf(name, folder)))).flat();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
