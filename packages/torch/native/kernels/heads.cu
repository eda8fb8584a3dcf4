// Queries, keys and values out of their projections, with rotary positions (Su et al. 2021), or their gradients back
// into those of the projections. The first channels of a head, x = (x1, x2) in halves, become
//
//     x cos + (-x2, x1) sin        backward: with -sin
//
// and the others stay. A key that serves several sequences is written for each of them, and the gradients of all are
// added up, always in the same order. A block has a written token. Numbers are float32 inside and are rounded once.

// The tokens that are read of a written one: those of a list, or numbers, from first on and before end.
struct Rows {
  const int* list;
  long long first, end;

  __device__ long long at(long long i) const { return list ? list[i] : i; }
};

__device__ inline Rows rowsOf(const HeadsPart& part, long long token) {
  const int* ends = at<int>(part.ends);
  if (part.ends) return {at<int>(part.rows), ends[token], ends[token + 1]};
  return {part.rows ? at<int>(part.rows) : nullptr, token, token + 1};
}

__device__ inline Four<NUMBER> channels(const Heads& a, const NUMBER* x, int i) {
  return a.by_four ? readFour(x, i, a.channels) : readEach(x, i, a.channels);
}

// The channels that those from i on are turned with.
__device__ inline Four<NUMBER> partners(const Heads& a, const NUMBER* x, int i) {
  const int half = a.rotary / 2;
  if (half % 4 == 0) return channels(a, x, i < half ? i + half : i - half);
  Four<NUMBER> y = {};
  for (int k = 0; k < 4; k++) {
    if (i + k < a.rotary) y.at[k] = x[i + k < half ? i + k + half : i + k - half];
  }
  return y;
}

__device__ inline void add(Four<float>& sum, const Four<NUMBER>& x) {
  for (int k = 0; k < 4; k++) sum.at[k] += toFloat(x.at[k]);
}

__device__ inline Four<NUMBER> anglesAt(const Heads& a, unsigned long long table, long long token, int i) {
  const NUMBER* row = at<NUMBER>(table) + token * a.rotary;
  return a.rotary % 4 == 0 ? readFour(row, i, a.rotary) : readEach(row, i, a.rotary);
}

__device__ inline void turn(const Heads& a, Four<float>& x, const Four<float>& other, long long token, int i) {
  const Four<NUMBER> cos = anglesAt(a, a.cos, token, i), sin = anglesAt(a, a.sin, token, i);
  for (int k = 0; k < 4; k++) {
    if (i + k >= a.rotary) return;
    const float s = toFloat(sin.at[k]) * (i + k < a.rotary / 2 ? -a.direction : a.direction);
    x.at[k] = x.at[k] * toFloat(cos.at[k]) + other.at[k] * s;
  }
}

// Four channels of a head of a written token.
__device__ inline void move(const Heads& a, const HeadsPart& part, const Rows& rows, long long token, int head, int i) {
  const NUMBER* from = at<NUMBER>(part.from) + head * part.from_head;
  const bool turns = part.turned && i < a.rotary;
  Four<float> x = {}, other = {};
  for (long long r = rows.first; r < rows.end; r++) {
    const NUMBER* row = from + rows.at(r) * part.from_token;
    add(x, channels(a, row, i));
    if (turns) add(other, partners(a, row, i));
  }
  // Angles are those of the projection's token.
  if (turns) turn(a, x, other, part.ends ? token : rows.at(rows.first), i);
  Four<NUMBER> y;
  for (int k = 0; k < 4; k++) y.at[k] = rounded<NUMBER>(x.at[k]);
  NUMBER* to = at<NUMBER>(part.to) + token * part.to_token + head * part.to_head;
  if (a.by_four) writeFour(to, i, a.channels, y);
  else writeEach(to, i, a.channels, y);
}

KERNEL(heads, Heads) {
  const long long token = blockIdx.x;
  const int fours = (a.channels + 3) / 4;
  for (int p = 0; p < a.count; p++) {
    const HeadsPart& part = a.parts[p];
    if (token >= part.tokens) continue;
    const Rows rows = rowsOf(part, token);
    for (int unit = threadIdx.x; unit < part.heads * fours; unit += blockDim.x) {
      move(a, part, rows, token, unit / fours, unit % fours * 4);
    }
  }
}
