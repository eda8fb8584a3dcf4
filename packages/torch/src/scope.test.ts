import { beforeAll, describe, expect, test } from 'vitest';
import {
  cat,
  enableGrad,
  foreachSqrt,
  inScope,
  isGradEnabled,
  keep,
  manualSeed,
  memory,
  noGrad,
  ones,
  randn,
  scope,
  type Tensor,
  tidy,
  UseAfterDisposeError,
} from './index.js';
import { expectNoLeak } from './testing/leak.js';

const live = () => memory().liveTensors;

beforeAll(() => manualSeed(0));

describe('tidy', () => {
  test('frees all but what is returned', () => {
    const before = live();
    let inner: Tensor | undefined;
    const out = tidy(() => {
      inner = ones([2]);
      return inner.add(1);
    });
    expect(live()).toBe(before + 1);
    expect(inner?.isDisposed).toBe(true);
    expect(out.toList()).toEqual([2, 2]);
    out.dispose();
    expect(live()).toBe(before);
  });

  test('finds tensors in arrays, objects, Maps and Sets at any depth, and survives cycles', () => {
    const before = live();
    const result = tidy(() => {
      const cyclic: { self?: unknown; t: Tensor } = { t: ones([1]) };
      cyclic.self = cyclic;
      return {
        list: [ones([1]), [ones([2])]],
        map: new Map([['a', ones([3])]]),
        set: new Set([ones([1])]),
        cyclic,
        n: 1,
      };
    });
    expect(live()).toBe(before + 5);
    expect(result.map.get('a')?.shape).toEqual([3]);
    for (const t of result.list.flat()) t.dispose();
    result.map.get('a')?.dispose();
    for (const t of result.set) t.dispose();
    result.cyclic.t.dispose();
    expect(live()).toBe(before);
  });

  test('what an inner scope returns is freed by the outer one', () => {
    const before = live();
    tidy(() => {
      const kept = tidy(() => [ones([1]), ones([1]).add(1)]);
      expect(live()).toBe(before + 2);
      expect(kept[1]?.item()).toBe(2);
    });
    expect(live()).toBe(before);
  });

  test('a tensor from outside may be returned and keeps its owner', () => {
    const before = live();
    tidy(() => {
      const outside = ones([1]);
      expect(tidy(() => outside)).toBe(outside);
      expect(outside.isDisposed).toBe(false);
    });
    expect(live()).toBe(before);
  });

  test('frees everything when the function throws', () => {
    const before = live();
    expect(() =>
      tidy(() => {
        ones([1]);
        throw new Error('boom');
      }),
    ).toThrow('boom');
    expect(live()).toBe(before);
    expect(inScope()).toBe(false);
  });

  test('refuses promises', async () => {
    const before = live();
    expect(() => tidy(async () => ones([1]))).toThrow(/tidy\(\) needs a synchronous function/);
    expect(live()).toBe(before);
    expect(() => noGrad(async () => 1)).toThrow(/noGrad\(\) needs a synchronous function/);
    expect(isGradEnabled()).toBe(true);
  });

  test('dispose() inside a scope frees at once and only once', () => {
    const before = live();
    tidy(() => {
      const t = ones([1]);
      t.dispose();
      t.dispose();
      expect(live()).toBe(before);
    });
    expect(live()).toBe(before);
  });
});

describe('scope', () => {
  test('ends with its block and hands on what it keeps', () => {
    const before = live();
    let handed: Tensor;
    {
      using s = scope();
      ones([1]);
      handed = s.keep(ones([1]));
    }
    expect(live()).toBe(before + 1);
    handed.dispose();
    expect(live()).toBe(before);
  });

  test('must end in reverse order', () => {
    const a = scope();
    const b = scope();
    expect(() => a[Symbol.dispose]()).toThrow(/reverse order/);
    expect(inScope()).toBe(true);
    b[Symbol.dispose]();
    expect(inScope()).toBe(false);
  });

  test('a long-lived scope does not hoard entries of disposed tensors', () => {
    using s = scope();
    for (let i = 0; i < 20_000; i++) ones([1]).dispose();
    const { tensors } = (s as unknown as { mine: { tensors: unknown[] } }).mine;
    expect(tensors.length).toBeLessThan(5000);
  });
});

describe('keep', () => {
  test('takes tensors out of every scope', () => {
    const before = live();
    const kept = tidy(() => {
      tidy(() => keep({ a: ones([2]) }).a.mul_(3));
      return keep(ones([1]));
    });
    expect(live()).toBe(before + 2);
    kept.dispose();
  });

  test('a kept tensor is not freed again by the scope it was made in', () => {
    let t: Tensor | undefined;
    tidy(() => {
      t = keep(ones([1]));
    });
    expect(t?.item()).toBe(1);
    t?.dispose();
  });
});

describe('use after dispose', () => {
  test('throws and names the argument and the cure', () => {
    const a = ones([1]);
    const dead = ones([1]);
    dead.dispose();
    const error = /'other' was disposed.*return it from tidy\(\), or keep\(\) it/;
    expect(() => a.add(dead)).toThrow(UseAfterDisposeError);
    expect(() => a.add(dead)).toThrow(error);
    expect(() => dead.add(a)).toThrow(/self: disposed, other: float32\[1\]/);
    expect(() => cat([a, dead])).toThrow(UseAfterDisposeError);
    expect(() => a.index([dead])).toThrow(UseAfterDisposeError);
    expect(() => foreachSqrt([dead])).toThrow(UseAfterDisposeError);
    for (const use of [
      () => dead.shape,
      () => dead.data(),
      () => dead.item(),
      () => dead.grad,
      () => dead.backward(),
    ]) {
      expect(use).toThrow(UseAfterDisposeError);
    }
    expect(String(dead)).toBe('Tensor(disposed)');
  });

  test('a slot used again does not revive an old handle', () => {
    const a = ones([1]);
    const { handle } = a;
    a.dispose();
    const b = ones([1]);
    const revived = Object.assign(Object.create(Object.getPrototypeOf(b)) as Tensor, { handle, owner: null });
    expect(() => revived.item()).toThrow(UseAfterDisposeError);
    b.dispose();
  });
});

describe('grad mode', () => {
  test('noGrad and enableGrad nest and are restored, also by errors', () => {
    expect(isGradEnabled()).toBe(true);
    noGrad(() => {
      expect(isGradEnabled()).toBe(false);
      enableGrad(() => expect(isGradEnabled()).toBe(true));
      expect(isGradEnabled()).toBe(false);
    });
    expect(() =>
      noGrad(() => {
        throw new Error('x');
      }),
    ).toThrow('x');
    expect(isGradEnabled()).toBe(true);
  });
});

describe('leaks', () => {
  test('live tensors stay flat over thousands of operators with a backward pass', () => {
    const w = randn([8, 8]).requiresGrad_();
    const step = () =>
      tidy(() => {
        const x = randn([4, 8]);
        const y = tidy(() => x.mm(w).silu().mm(w).logSoftmax(1));
        y.sum().backward();
        noGrad(() => w.sub_((w.grad as Tensor).mul(1e-3)));
        w.grad = null;
      });
    expectNoLeak(step, 500);
    w.dispose();
  });

  test('resident memory stays flat over 20,000 scopes', () => {
    const run = (n: number) => {
      for (let i = 0; i < n; i++) tidy(() => ones([64, 64]).add(1).sum().item());
    };
    run(2000);
    const before = memory().rss;
    run(20_000);
    // Leaked tensors would be 650 MB; the JavaScript heap may grow by some tens before it is collected.
    expect(memory().rss - before).toBeLessThan(80e6);
  });

  test('errors leak nothing', () => {
    const a = ones([2, 3]);
    expectNoLeak(() => expect(() => a.mm(a)).toThrow());
    a.dispose();
  });

  test('tensors outside every scope are freed by the garbage collector when the event loop turns', async () => {
    const gc = (globalThis as { gc?: () => void }).gc;
    const before = live();
    for (let i = 0; i < 300; i++) {
      ones([256, 1024]);
      if (i % 10 === 0) await new Promise(setImmediate);
      gc?.();
    }
    for (let i = 0; i < 10_000 && live() > before + 200; i++) await new Promise(setImmediate);
    expect(live()).toBeLessThan(before + 250);
  });
});
