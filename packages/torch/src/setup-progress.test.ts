import { afterEach, expect, test, vi } from 'vitest';
import { downloadText, tellsProgress, whileTold } from './setup-progress.js';

afterEach(() => {
  vi.useRealTimers();
});

test('a step is told of once a second, with what is known of it, until it is done', async () => {
  vi.useFakeTimers();
  const heard: (string | undefined)[] = [];
  let done = (_: string) => {};
  let detail = '';
  const work = whileTold('installing', () => new Promise<string>((resolve) => (done = resolve)), {
    progress: (text) => heard.push(text),
    detail: () => detail,
  });
  vi.advanceTimersByTime(1000);
  detail = '3 of 9 MB';
  vi.advanceTimersByTime(1000);
  done('result');
  expect(await work).toBe('result');
  vi.advanceTimersByTime(5000);
  expect(heard).toEqual(['installing: 1s', 'installing: 2s, 3 of 9 MB', undefined]);
});

test.each([
  ['', ''],
  ['Collecting torch\n  Downloading https://x/torch-2.13.0.whl (191.5 MB)\n', 'downloading 191.5 MB'],
  [
    'Downloading torch-2.13.0.whl (191.5 MB)\nProgress 0 of 200500000\nProgress 50100000 of 200500000\n',
    '50 of 201 MB',
  ],
  ['Progress 50100000 of 200500000\nProgress 9', '50 of 201 MB'],
])('what pip says of a download: %j', (output, text) => {
  expect(downloadText(output)).toBe(text);
});

test('pip tells of progress since 24.1', () => {
  const told = ['23.3.1', '24.0', '24.1', '25.0.1', '100.0'].map((version) => tellsProgress(`pip ${version} from /x`));
  expect(told).toEqual([false, false, true, true, true]);
});
