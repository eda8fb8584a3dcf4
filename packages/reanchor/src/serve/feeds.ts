import type { Clock } from '../clock.js';
import type { Feed } from './feed.js';
import type { Library } from './library.js';
import { ListFeed } from './list-feed.js';
import { RunFeed } from './run-feed.js';
import { StudyFeed } from './study-feed.js';

/** One feed for the list, each run and each study that pages follow, however many pages there are. */
export class Feeds {
  readonly #feeds = new Map<string, Feed>();

  constructor(
    readonly library: Library,
    readonly clock?: Clock,
  ) {}

  list(): Feed {
    return this.#of('list', () => new ListFeed(this.library, this.clock));
  }

  run(id: string): Feed {
    return this.#of(`run ${id}`, () => new RunFeed(this.library, id, this.clock));
  }

  study(id: string, quality: string | undefined): Feed {
    const key = `study ${JSON.stringify([id, quality])}`;
    return this.#of(key, () => new StudyFeed(this.library, id, quality, this.clock));
  }

  /** Those that nobody follows any more are forgotten, and what they hold with them. */
  #of(key: string, make: () => Feed): Feed {
    for (const [other, feed] of this.#feeds) if (feed.isOver) this.#feeds.delete(other);
    const feed = this.#feeds.get(key) ?? make();
    this.#feeds.set(key, feed);
    return feed;
  }
}
