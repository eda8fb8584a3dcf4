// The oracle of the packed path: Llama on a padded batch, written once more, plainly, without any of its parts.
// Shapes: B rows, T positions, H query heads, K key-value heads, C channels of a head, V vocabulary.
import { cat, type Tensor, tensor } from '@reanchor/torch';

interface Config {
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  hidden_size: number;
  head_dim?: number;
  rms_norm_eps: number;
  rope_theta?: number;
  rope_parameters?: { rope_theta: number };
}

/**
 * log p(token t+1 | tokens 0..t) for rows of ids padded on the right, [B, T-1]; whatever stands at padding means
 * nothing.
 */
export function paddedLogprobs(
  parameters: ReadonlyMap<string, Tensor>,
  configJson: Record<string, unknown>,
  rows: number[][],
): Tensor {
  const config = configJson as unknown as Config;
  const { num_attention_heads: heads, num_key_value_heads: groups, rms_norm_eps: eps } = config;
  const channels = config.head_dim ?? config.hidden_size / heads;
  const theta = config.rope_parameters?.rope_theta ?? config.rope_theta ?? 10000;
  const [B, T] = [rows.length, Math.max(...rows.map((row) => row.length))];
  const padded = rows.map((row) => [...row, ...new Array(T - row.length).fill(0)]);
  const weight = (name: string) => parameters.get(`${name}.weight`)!;
  const dtype = weight('model.embed_tokens').dtype;
  const ids_BT = tensor(Int32Array.from(padded.flat()), { shape: [B, T], dtype: 'int64' });

  const angles = padded[0]!.flatMap((_, t) =>
    Array.from({ length: channels }, (_, c) => t * theta ** ((-2 * (c % (channels / 2))) / channels)),
  );
  const angles_TC = tensor(Float64Array.from(angles), { shape: [T, channels] });
  const [cos_TC, sin_TC] = [angles_TC.cos().to(dtype), angles_TC.sin().to(dtype)];
  const future = padded[0]!.flatMap((_, i) => padded[0]!.map((_, j) => (j > i ? Number.NEGATIVE_INFINITY : 0)));
  const causal_TT = tensor(Float64Array.from(future), { shape: [T, T] }).to(dtype);

  const norm = (x: Tensor, name: string) => x.mul(x.mul(x).mean([-1], true).add(eps).rsqrt()).mul(weight(name));
  const linear = (x: Tensor, name: string) => x.matmul(weight(name).t());
  const rope = (x: Tensor) => {
    const halves = [x.narrow(-1, 0, channels / 2), x.narrow(-1, channels / 2, channels / 2)] as const;
    return x.mul(cos_TC).add(cat([halves[1].neg(), halves[0]], -1).mul(sin_TC));
  };
  const perHead = (x: Tensor, n: number) => x.view([B, T, n, channels]).transpose(1, 2);

  let x = weight('model.embed_tokens')
    .indexSelect(0, ids_BT.view([-1]))
    .view([B, T, -1]);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const name = (part: string) => `model.layers.${i}.${part}`;
    const input = norm(x, name('input_layernorm'));
    const q = rope(perHead(linear(input, name('self_attn.q_proj')), heads));
    const k = rope(perHead(linear(input, name('self_attn.k_proj')), groups)).repeatInterleave(heads / groups, 1);
    const v = perHead(linear(input, name('self_attn.v_proj')), groups).repeatInterleave(heads / groups, 1);
    const attention = q
      .matmul(k.transpose(-1, -2))
      .mul(channels ** -0.5)
      .add(causal_TT)
      .softmax(-1)
      .matmul(v);
    x = x.add(linear(attention.transpose(1, 2).reshape([B, T, heads * channels]), name('self_attn.o_proj')));
    const mlp = norm(x, name('post_attention_layernorm'));
    x = x.add(
      linear(
        linear(mlp, name('mlp.gate_proj'))
          .silu()
          .mul(linear(mlp, name('mlp.up_proj'))),
        name('mlp.down_proj'),
      ),
    );
  }
  const head = parameters.get('lm_head.weight') ?? weight('model.embed_tokens');
  const logprobs_BTV = norm(x, 'model.norm').matmul(head.t()).logSoftmax(-1);
  return logprobs_BTV
    .narrow(1, 0, T - 1)
    .gather(2, ids_BT.narrow(1, 1, T - 1).unsqueeze(-1))
    .squeeze(-1);
}
