// The keys and values of texts that grow token by token.
// Shapes: B texts, T slots, N packed tokens, H query heads, K key-value heads, C channels of a head.
import {
  cat,
  decodeAttention,
  keep,
  scaledDotProductAttention,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '@reanchor/torch';
import { isDecoding } from '../nn/decoding.js';

/** Where a prompt lies among packed tokens. */
export interface PromptSpan {
  start: number;
  length: number;
}

/** Slots by which the cache grows at least. */
const growth = 128;

/**
 * Keys and values of every layer, a row a text. Prompts end at the same slot, so that all texts write their next token
 * to one slot; the slots before a shorter prompt are masked. Positions are in the keys already (rotary embedding), so
 * that slots are free to mean nothing.
 */
export class KeyValueCache implements Disposable {
  readonly #layers: { keys_BKTC: Tensor; values_BKTC: Tensor }[] = [];
  /** Slots that are filled in every layer, and that will be in the step being computed. */
  #length: number;
  /** Slots before each text's first. */
  #unused: number[];
  /** The same as a tensor, and as a mask; made when they are needed. */
  #starts_B: Tensor | undefined;
  #mask_B11T: Tensor | undefined;

  /** Texts whose prompts are stored, in each layer. */
  readonly #stored: number[] = [];

  /** Room for texts whose prompts have so many tokens. */
  constructor(lengths: readonly number[]) {
    this.#length = Math.max(...lengths);
    this.#unused = lengths.map((length) => this.#length - length);
  }

  /** Keeps a layer's keys and values of the next texts' prompts, which lie among packed tokens. */
  storePrompts(layer: number, prompts: readonly PromptSpan[], k_NKC: Tensor, v_NKC: Tensor): void {
    const { keys_BKTC, values_BKTC } = this.#layers[layer] ?? this.#begin(layer, k_NKC);
    const first = this.#stored[layer] ?? 0;
    tidy(() => {
      for (const [i, { start, length }] of prompts.entries()) {
        const store = (cache_BKTC: Tensor, x_NKC: Tensor) => {
          const slots_KTC = cache_BKTC.select(0, first + i).narrow(1, this.#length - length, length);
          slots_KTC.copy_(x_NKC.narrow(0, start, length).transpose(0, 1));
        };
        store(keys_BKTC, k_NKC);
        store(values_BKTC, v_NKC);
      }
    });
    this.#stored[layer] = first + prompts.length;
  }

  #begin(layer: number, like_NKC: Tensor) {
    const [, heads, channels] = like_NKC.shape as [number, number, number];
    const size = [this.#unused.length, heads, this.#length + growth, channels];
    const room = () => zeros(size, { dtype: like_NKC.dtype, device: like_NKC.device });
    this.#layers[layer] = keep({ keys_BKTC: room(), values_BKTC: room() });
    return this.#layers[layer];
  }

  /** Slots that are filled, those of the step being computed among them. */
  get length(): number {
    return this.#length;
  }

  /** Forgets the tokens of the one text that is kept from a slot on. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Makes room for one more token a text, or several; every layer then writes and sees them (`attend`, `extend`). */
  advance(tokens = 1): void {
    this.#length += tokens;
    const slots = this.#layers[0]!.keys_BKTC.shape[2]!;
    if (slots >= this.#length) return;
    const more = Math.max(growth, this.#length >> 1);
    this.#replaceAll((old) => {
      const [texts, heads, , channels] = old.shape as [number, number, number, number];
      return cat([old, zeros([texts, heads, more, channels], { dtype: old.dtype, device: old.device })], 2);
    });
  }

  /** Attention of one new token a text over all of its tokens, [B, H, C] -> [B, H, C]. */
  attend(layer: number, q_BHC: Tensor, k_BKC: Tensor, v_BKC: Tensor): Tensor {
    const { keys_BKTC, values_BKTC } = this.#layers[layer]!;
    const slot = this.#length - 1;
    if (isDecoding()) return decodeAttention(q_BHC, k_BKC, v_BKC, keys_BKTC, values_BKTC, this.#starts(), slot);
    return tidy(() => {
      keys_BKTC.select(2, slot).copy_(k_BKC);
      values_BKTC.select(2, slot).copy_(v_BKC);
      return scaledDotProductAttention(
        q_BHC.unsqueeze(2),
        keys_BKTC.narrow(2, 0, this.#length),
        values_BKTC.narrow(2, 0, this.#length),
        { attnMask: this.#mask(q_BHC), enableGqa: q_BHC.shape[1] !== k_BKC.shape[1] },
      ).squeeze(2);
    });
  }

  /**
   * Attention of the newest N tokens of the one text that is kept, [N, H, C] -> [N, H, C]. `mask_NT` says which slots
   * each of them sees.
   */
  extend(layer: number, q_NHC: Tensor, k_NKC: Tensor, v_NKC: Tensor, mask_NT: Tensor): Tensor {
    const { keys_BKTC, values_BKTC } = this.#layers[layer]!;
    const [tokens, heads] = q_NHC.shape as [number, number];
    return tidy(() => {
      const first = this.#length - tokens;
      keys_BKTC.select(0, 0).narrow(1, first, tokens).copy_(k_NKC.transpose(0, 1));
      values_BKTC.select(0, 0).narrow(1, first, tokens).copy_(v_NKC.transpose(0, 1));
      return scaledDotProductAttention(
        q_NHC.transpose(0, 1).unsqueeze(0),
        keys_BKTC.narrow(2, 0, this.#length),
        values_BKTC.narrow(2, 0, this.#length),
        { attnMask: mask_NT, enableGqa: heads !== k_NKC.shape[1] },
      )
        .squeeze(0)
        .transpose(0, 1);
    });
  }

  /** Forgets all texts but these, by their places. */
  select(places: readonly number[]): void {
    const device = this.#layers[0]?.keys_BKTC.device;
    const places_B = tensor(Int32Array.from(places), { dtype: 'int64', device });
    this.#replaceAll((old) => old.indexSelect(0, places_B));
    places_B.dispose();
    this.#unused = places.map((place) => this.#unused[place]!);
    this.#forget();
  }

  #replaceAll(change: (old: Tensor) => Tensor): void {
    for (const layer of this.#layers) {
      for (const name of ['keys_BKTC', 'values_BKTC'] as const) {
        const old = layer[name];
        layer[name] = keep(tidy(() => change(old)));
        old.dispose();
      }
    }
  }

  #starts(): Tensor {
    this.#starts_B ??= keep(tensor(Int32Array.from(this.#unused), { dtype: 'int64' }));
    return this.#starts_B;
  }

  /** -inf at the slots that a text does not use; undefined where all use all. */
  #mask({ dtype, device }: Tensor): Tensor | undefined {
    if (this.#unused.every((count) => count === 0)) return undefined;
    if (!this.#mask_B11T || this.#mask_B11T.shape[3]! < this.#length) {
      this.#mask_B11T?.dispose();
      const room = this.#length + growth;
      const values = new Float32Array(this.#unused.length * room);
      for (const [b, count] of this.#unused.entries())
        values.fill(Number.NEGATIVE_INFINITY, b * room, b * room + count);
      this.#mask_B11T = keep(tidy(() => tensor(values, { shape: [this.#unused.length, 1, 1, room], dtype, device })));
    }
    return this.#mask_B11T.narrow(3, 0, this.#length);
  }

  #forget(): void {
    this.#starts_B?.dispose();
    this.#mask_B11T?.dispose();
    this.#starts_B = undefined;
    this.#mask_B11T = undefined;
  }

  [Symbol.dispose](): void {
    for (const { keys_BKTC, values_BKTC } of this.#layers) {
      keys_BKTC.dispose();
      values_BKTC.dispose();
    }
    this.#forget();
  }
}
