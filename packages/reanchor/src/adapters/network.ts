/** What an adapter is put on, as names and shapes: a network without its weights. */

/** A linear layer of a block. */
interface AdaptableLinear {
  inputs: number;
  outputs: number;
  hasBias: boolean;
}

export interface AdaptableNetwork {
  /** The linear layers of the blocks by module path as in checkpoints, such as model.layers.0.self_attn.q_proj. */
  linear: ReadonlyMap<string, AdaptableLinear>;
  /** The shapes of all parameters by checkpoint name; a tied head is none of them. */
  parameters: ReadonlyMap<string, readonly number[]>;
  /** The checkpoint name of the embedding. */
  embedding: string;
  /** The checkpoint name of the head; undefined where the head is the embedding. */
  head: string | undefined;
}

/** The module that a parameter belongs to: its name without the last part. */
export const moduleOf = (parameter: string): string => parameter.slice(0, parameter.lastIndexOf('.'));

/** The checkpoint name of the head, or that which it has once it is no longer the embedding. */
export function headParameter({ head, embedding }: AdaptableNetwork): string {
  return head ?? (embedding.startsWith('gpt_neox.') ? 'embed_out.weight' : 'lm_head.weight');
}

/** The shape of a parameter, of a tied head too; undefined for a name that is none. */
export function shapeOf(network: AdaptableNetwork, parameter: string): readonly number[] | undefined {
  const isTiedHead = network.head === undefined && parameter === headParameter(network);
  return network.parameters.get(isTiedHead ? network.embedding : parameter);
}
