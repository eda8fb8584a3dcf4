import type { Clock } from '../clock.js';
import type { RunList, RunSummary } from './api.js';
import { Feed, type Message, message } from './feed.js';
import type { Library } from './library.js';

/**
 * Milliseconds between looks, at least and at most, and the share of the time that looks at a large folder may take.
 */
const [pauseMs, longestPauseMs] = [1500, 5000];
const mostShare = 0.1;

/** The list of runs, studies and results. */
export class ListFeed extends Feed {
  #list: RunList | undefined;
  #rows = new Map<string, RunSummary>();

  constructor(
    readonly library: Library,
    clock?: Clock,
  ) {
    super(clock);
  }

  protected async look(): Promise<number> {
    const began = this.clock.now();
    const list = await this.library.list();
    this.#publish(list);
    // The first look at a large folder takes far longer than those that follow, which must not wait for it.
    return Math.min(longestPauseMs, Math.max(pauseMs, (this.clock.now() - began) / mostShare));
  }

  protected whole(): Message {
    return message('list', this.#list!);
  }

  #publish(list: RunList): void {
    const [before, known] = [this.#list, this.#rows];
    const rows = new Map(list.runs.map((run) => [run.id, run]));
    this.#list = list;
    this.#rows = rows;
    if (before === undefined) {
      this.publish();
      return;
    }
    const runs = list.runs.filter((run) => known.get(run.id) !== run);
    const gone = [...known.keys()].filter((id) => !rows.has(id));
    const { notes, results, studies } = list;
    const isOther =
      JSON.stringify([notes, results, studies]) !== JSON.stringify([before.notes, before.results, before.studies]);
    if (runs.length + gone.length === 0 && !isOther) return;
    this.publish(message('listPatch', { runs, gone, notes, results, studies }));
  }
}
