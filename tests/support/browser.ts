/** A headless Chromium for tests, where there is one: CHROME_PATH, else the usual places. Nothing is installed. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

export const chromePath = [process.env.CHROME_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find(
  (path) => path !== undefined && existsSync(path),
);

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromePath!,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
