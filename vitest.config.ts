import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

// One process per test file: a crash in native code then names the file, and libtorch's per-thread state starts fresh.
const shared = {
  pool: 'forks' as const,
  isolate: true,
  // More than the two cores that there are: many tests wait for processes that they have started.
  maxWorkers: 3,
  // No test asks the Hub itself: those that download start one on the loopback device.
  env: { OMP_WAIT_POLICY: 'PASSIVE', OMP_NUM_THREADS: '1', HF_HUB_OFFLINE: '1' },
  setupFiles: [path('tests/support/compile-late.ts'), path('tests/support/matchers.ts')],
  // What a test waits for comes sooner or later, however busy the machine is.
  expect: { poll: { timeout: 45_000 } },
};

// Tests run the sources, not the build, so that a test never sees stale output.
const resolve = {
  alias: [
    { find: /^@reanchor\/torch\/(host|setup)$/, replacement: path('packages/torch/src/$1.ts') },
    { find: /^@reanchor\/torch$/, replacement: path('packages/torch/src/index.ts') },
    { find: /^reanchor$/, replacement: path('packages/reanchor/src/index.ts') },
  ],
};

// Numbers to the bit are those of the CPU, whatever else a machine has.
const onCpu: Record<string, string> = { ...shared.env, CUDA_VISIBLE_DEVICES: '' };

const project = (name: string, include: string[], exclude: string[], testTimeout: number, env = onCpu) => ({
  resolve,
  test: {
    ...shared,
    env,
    name,
    include,
    exclude: ['**/node_modules/**', ...exclude],
    testTimeout,
    hookTimeout: testTimeout,
  },
});

export default defineConfig({
  oxc: { target: 'node20' },
  test: {
    globalSetup: [path('tests/support/temporary.ts')],
    projects: [
      project(
        'fast',
        ['packages/*/{src,ops}/**/*.test.ts', 'tests/**/*.test.ts'],
        ['**/*.slow.test.ts', '**/*.gpu.test.ts', '**/*.packages.test.ts'],
        60_000,
      ),
      project('slow', ['{packages,tests}/**/*.slow.test.ts'], [], 600_000),
      project('packages', ['tests/packages/*.packages.test.ts'], [], 600_000),
      project('gpu', ['{packages,tests}/**/*.gpu.test.ts'], [], 600_000, shared.env),
    ],
  },
});
