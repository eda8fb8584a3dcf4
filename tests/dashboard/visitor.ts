// Somebody with a browser in front of a dashboard.
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type Dashboard, serveDashboard } from '#reanchor/serve/index.js';
import { chromePath, launchBrowser } from '../support/browser.js';
import { makeSite } from './site.js';

export const wide = { width: 1400, height: 900 };
export const phone = { width: 390, height: 844 };

class Visitor {
  /** What went wrong in the pages that were opened: errors, and what their policy forbade. */
  #complaints: string[] = [];

  private constructor(
    readonly browser: Browser,
    readonly dashboard: Dashboard,
  ) {}

  /** To be closed by {@link leave}. */
  static async of(folder: string): Promise<Visitor> {
    return new Visitor(await launchBrowser(), await serveDashboard({ folder, port: 0 }));
  }

  async leave(): Promise<void> {
    await this.browser.close();
    await this.dashboard[Symbol.asyncDispose]();
  }

  /** Opens a page of the dashboard, by the address that the command prints. */
  async open(route = '', options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: wide, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(45_000);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.#complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.#complaints.push(error.message));
    await page.goto(`${this.dashboard.url}${route}`);
    return page;
  }

  /** Fails for what went wrong since the last call. */
  expectNoComplaint(): void {
    const told = this.#complaints;
    this.#complaints = [];
    expect(told).toEqual([]);
  }
}

export const close = (page: Page) => page.context().close();

/** A site and its visitor, which are there for the tests of a file, where there is a browser. */
export interface VisitedSite {
  /** The folder that is served. */
  runs: string;
  visitor: Visitor;
}

/** The site of {@link makeSite}, with what `add` puts into its folder; each test fails for complaints of its pages. */
export function visitedSite(add: (runs: string) => Promise<void> = async () => {}): VisitedSite {
  const site = {} as VisitedSite;
  beforeAll(async () => {
    if (!chromePath) return;
    site.runs = await makeSite();
    await add(site.runs);
    site.visitor = await Visitor.of(site.runs);
  });
  afterAll(async () => {
    if (!chromePath) return;
    await site.visitor.leave();
    rmSync(dirname(site.runs), { recursive: true });
  });
  afterEach(() => site.visitor?.expectNoComplaint());
  return site;
}
