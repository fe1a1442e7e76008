// Gaussian scores by tensor cores, for hopper.cu, which includes this file; see there for names and conventions.
//
//     x[i, j] = sum_c -0.5 w z^2 + w m z  +  constant - sum_c (log_scale + 0.5 w m^2),    w = exp(-2 log_scale)
//
// with means m[i, c] and speech z[j, c]: the product of [w m, -0.5 w] with [z, z^2]. Without scales w is 1, and
// what depends on the frame alone is left out: every path passes every frame once.
//
// Each factor is a sum of two bfloat16, of which all products but that of the two small parts are added up in float32:
// off by about 2^-16 of the largest term, where one bfloat16 is off by 2^-8.
//
// A team of 8 warps makes tiles of 128 tokens and 128 frames. Channels come in slices, which the team reads, splits and
// leaves in shared memory in turn with the products of the slice before.

struct Gaussians {
  const float* mean;
  i64 mean_b, mean_i, mean_c;
  const float* log_scale;  // not looked at if UNIT_VARIANCE
  i64 scale_b, scale_i, scale_c;
  const float* speech;
  i64 speech_b, speech_j, speech_c;
  int C;
  float constant;                        // -0.5 C log(2 pi)
  int tokens_by_fours, frames_by_fours;  // whether four channels can be read at once
};

#ifdef UNIT_VARIANCE
constexpr bool SCALED = false;
#else
constexpr bool SCALED = true;
#endif
constexpr int TEAM = 256;                    // threads that make a tile
constexpr int SIDE = 128;                    // tokens and frames of a tile
constexpr int SLICE_BYTES = 2 * SIDE * 128;  // 128 bytes a token, then 128 a frame
constexpr int CONSTANTS = 4 * SIDE;          // of a tile: each token's is the sum of four
constexpr int TILE_BYTES = 2 * SLICE_BYTES + 2 * CONSTANTS * 4;
constexpr int STEP = SCALED ? 16 : 32;       // channels a slice

// The 128 bytes of a token or frame are 8 pieces of 8 bfloat16: large parts of kind 0, kind 1, then small parts of both,
// two pieces each. Kind 0 and 1 are w m and -0.5 w (z and z^2), or without scales the first and second 16 channels. Pieces
// are swapped about so that 8 rows can be read at once.
DEVICE int piece(int row, int index) { return row * 128 + ((index ^ (row & 7)) << 4); }

DEVICE u32 two_bfloats(float first, float second) {
  u32 r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
  return r;
}

// Four channels from `channel` (of 16) on, as large and small parts; kind as above.
DEVICE void store_split(u32 rows, int row, int kind, int channel, const float (&v)[4]) {
  const int index = 2 * kind + (channel >> 3), half = (channel & 4) << 1;
  u32 large[2], small[2];
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    large[n] = two_bfloats(v[2 * n], v[2 * n + 1]);
    small[n] = two_bfloats(v[2 * n] - __uint_as_float(large[n] << 16), v[2 * n + 1] - __uint_as_float(large[n] & 0xffff0000u));
  }
  auto store = [](u32 address, const u32 (&v)[2]) {
    asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(address), "r"(v[0]), "r"(v[1]) : "memory");
  };
  store(rows + piece(row, index) + half, large);
  store(rows + piece(row, 4 + index) + half, small);
}

DEVICE void read_channels(float (&v)[4], const float* row, i64 step, int c, int C, bool there, bool by_fours) {
  if (there && by_fours && c + 4 <= C) {
    const float4 a = __ldg((const float4*)(row + c));
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
  } else {
#pragma unroll
    for (int n = 0; n < 4; ++n) v[n] = there && c + n < C ? __ldg(row + (c + n) * step) : 0.0f;
  }
}

DEVICE void load_fragments(u32 (&v)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]) : "r"(address));
}

DEVICE void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

DEVICE void team_sync() { asm volatile("bar.sync 1, 256;" ::: "memory"); }

struct Tile {
  float sums[2][8][4];  // of a thread: see Maker::put
};

// A warp of the team has 32 tokens and 64 frames of the tile.
DEVICE void multiply_slice(Tile& t, u32 slice, int warp, int lane) {
  const u32 tokens = slice, frames = slice + SIDE * 128;
  const int token = (warp & 3) * 32 + (lane & 15), token_half = lane >> 4;
  const int frame = (warp >> 2) * 64 + (lane & 7) + (lane >> 4 << 3), frame_half = lane >> 3 & 1;
#pragma unroll
  for (int kind = 0; kind < 2; ++kind) {
    u32 large[2][4], small[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      load_fragments(large[m], tokens + piece(token + 16 * m, 2 * kind + token_half));
      load_fragments(small[m], tokens + piece(token + 16 * m, 4 + 2 * kind + token_half));
    }
#pragma unroll
    for (int n = 0; n < 8; n += 2) {
      u32 b[4];
      load_fragments(b, frames + piece(frame + 8 * n, 4 + 2 * kind + frame_half));
#pragma unroll
      for (int m = 0; m < 2; ++m) multiply(t.sums[m][n], large[m], b[0], b[1]), multiply(t.sums[m][n + 1], large[m], b[2], b[3]);
      load_fragments(b, frames + piece(frame + 8 * n, 2 * kind + frame_half));
#pragma unroll
      for (int m = 0; m < 2; ++m) multiply(t.sums[m][n], small[m], b[0], b[1]), multiply(t.sums[m][n + 1], small[m], b[2], b[3]);
#pragma unroll
      for (int m = 0; m < 2; ++m) multiply(t.sums[m][n], large[m], b[0], b[1]), multiply(t.sums[m][n + 1], large[m], b[2], b[3]);
    }
  }
}

// Which of a slice's 128 rows (tokens or frames) a thread reads and splits, four channels each; neighbouring threads have
// neighbouring channels or rows, whichever lie side by side in memory.
struct Part {
  int row[2], channel[2];
};

DEVICE Part part_of(int thread, bool channels_lie_side_by_side) {
  if (channels_lie_side_by_side) return {{thread >> 2, 64 + (thread >> 2)}, {(thread & 3) * 4, (thread & 3) * 4}};
  return {{thread & 127, thread & 127}, {(thread >> 7) * 8, (thread >> 7) * 8 + 4}};
}

#define MEMBER __device__ __forceinline__

// What a thread knows of the tile it works on, and what it has read of the next slice.
struct Maker {
  const Gaussians& g;
  const Item& item;
  int b, thread;
  unsigned char* space;  // TILE_BYTES of shared memory
  int row0, frame0, c;   // of the next slice: its tile's first token and frame, its first channel
  int buffer, parity;    // of the slice that is ready, and of the tile
  float constant[2];
  float m[2][4], other[2][4], z[2][4], z_more[2][4];

  MEMBER Maker(const Gaussians& g, const Item& item, int b, unsigned char* space, int thread)
      : g(g), item(item), b(b), thread(thread), space(space), buffer(0), parity(0) {}

  MEMBER void begin(int row0_, int frame0_) { row0 = row0_, frame0 = frame0_, c = 0, constant[0] = constant[1] = 0.0f; }

  MEMBER void read() {
    const Part t = part_of(thread, g.mean_c == 1), f = part_of(thread, g.speech_c == 1);
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const int token = row0 + t.row[n], frame = frame0 + f.row[n];
      const bool token_there = token < item.tokens, frame_there = frame < item.frames;
      const float* const m_row = g.mean + b * g.mean_b + token * g.mean_i;
      const float* const z_row = g.speech + b * g.speech_b + frame * g.speech_j;
      const int of_token = c + t.channel[n], of_frame = c + f.channel[n];
      read_channels(m[n], m_row, g.mean_c, of_token, g.C, token_there, g.tokens_by_fours);
      read_channels(z[n], z_row, g.speech_c, of_frame, g.C, frame_there, g.frames_by_fours);
      if (SCALED) {
        const float* const s_row = g.log_scale + b * g.scale_b + token * g.scale_i;
        read_channels(other[n], s_row, g.scale_c, of_token, g.C, token_there, g.tokens_by_fours);
      } else {
        read_channels(other[n], m_row, g.mean_c, of_token + 16, g.C, token_there, g.tokens_by_fours);
        read_channels(z_more[n], z_row, g.speech_c, of_frame + 16, g.C, frame_there, g.frames_by_fours);
      }
    }
  }

  // Leaves what was read in `to`, and with a tile's last slice the tokens' constants.
  MEMBER void split(int to, int constants_of) {
    const Part t = part_of(thread, g.mean_c == 1), f = part_of(thread, g.speech_c == 1);
    const u32 tokens = shared_address(space) + to * SLICE_BYTES, frames = tokens + SIDE * 128;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        float& mean = m[n][k];
        float& more = other[n][k];
        if (SCALED) {
          float w;  // exp(-2 log_scale)
          asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(w) : "f"(-2.885390082f * more));
          const float wm = w * mean;
          constant[n] -= fmaf(0.5f * mean, wm, more);
          mean = wm, more = -0.5f * w, z_more[n][k] = z[n][k] * z[n][k];
        } else {
          constant[n] -= 0.5f * fmaf(mean, mean, more * more);
        }
      }
      store_split(tokens, t.row[n], 0, t.channel[n], m[n]), store_split(tokens, t.row[n], 1, t.channel[n], other[n]);
      store_split(frames, f.row[n], 0, f.channel[n], z[n]), store_split(frames, f.row[n], 1, f.channel[n], z_more[n]);
      if (c + STEP >= g.C)
        asm volatile("st.shared.f32 [%0], %1;" ::"r"(constants(constants_of) + (t.channel[n] / 4 * SIDE + t.row[n]) * 4), "f"(constant[n]) : "memory");
    }
  }

  MEMBER u32 constants(int of) const { return shared_address(space) + 2 * SLICE_BYTES + of * CONSTANTS * 4; }

  // The first slice of the first tile, begun before.
  MEMBER void prepare() {
    read();
    split(buffer, parity);
    c += STEP;
    if (c < g.C) read();
    team_sync();
  }

  // The tile whose first slice is ready and second has been read. If `more`, goes on with the tile at next_row0, next_frame0
  // once all slices of this one have been read. Half of the team multiplies first, the other half reads and splits first, so
  // that tensor cores and the rest have work at all times.
  MEMBER void make(Tile& t, bool more, int next_row0, int next_frame0) {
    const int warp = thread >> 5, lane = thread & 31;
    const u32 slices = shared_address(space);
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int n = 0; n < 8; ++n)
#pragma unroll
        for (int k = 0; k < 4; ++k) t.sums[m][n][k] = 0.0f;
#pragma unroll 1
    for (int done = 0; done < g.C; done += STEP) {
      const bool last = done + STEP >= g.C;  // the slice that is ready is the tile's last
      if (warp < 4) multiply_slice(t, slices + buffer * SLICE_BYTES, warp, lane);
      if (last && more && c >= g.C) begin(next_row0, next_frame0), read();  // tiles of one slice
      if (!last || more) {
        split(buffer ^ 1, last ? parity ^ 1 : parity);
        c += STEP;
        if (c < g.C) read();
        else if (!last && more) begin(next_row0, next_frame0), read();
      }
      if (warp >= 4) multiply_slice(t, slices + buffer * SLICE_BYTES, warp, lane);
      buffer ^= 1;
      team_sync();
    }
    parity ^= 1;
  }

  // Hands put(token, frame, four frames' scores) the tile made last, piece by piece. Of 16 tokens and 8 frames, a quarter of a
  // warp has 2 tokens, and each thread of it 2 frames of both, before pairs of threads trade.
  template <class Put>
  MEMBER void put(const Tile& t, Put put) const {
    const int warp = thread >> 5, lane = thread & 31;
    const bool second = lane & 1;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      const int token = (warp & 3) * 32 + 16 * m + (second ? 8 : 0) + (lane >> 2);
      const u32 own = constants(parity ^ 1) + token * 4;
      float of[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) asm volatile("ld.shared.f32 %0, [%1];" : "=f"(of[k]) : "r"(own + k * SIDE * 4));
      const float constant = g.constant + ((of[0] + of[1]) + (of[2] + of[3]));
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        const float* const sums = t.sums[m][n];
        const float one = __shfl_xor_sync(~0u, second ? sums[0] : sums[2], 1);
        const float two = __shfl_xor_sync(~0u, second ? sums[1] : sums[3], 1);
        float4 v = second ? make_float4(one, two, sums[2], sums[3]) : make_float4(sums[0], sums[1], one, two);
        v.x += constant, v.y += constant, v.z += constant, v.w += constant;
        put(token, (warp >> 2) * 64 + 8 * n + 4 * (lane >> 1 & 1), v);
      }
    }
  }
};

// a.scores [B, T, S], rows of stride_i floats, a multiple of 4, wherever some path can pass; the rest may stay as it was.
// grid: B * tiles of tokens * tiles of frames.
extern "C" __global__ void __launch_bounds__(TEAM, 2) scores(const Arguments a, const Gaussians g) {
  extern __shared__ __align__(128) unsigned char space[];
  const int across = (a.S + SIDE - 1) / SIDE, down = (a.T + SIDE - 1) / SIDE;
  const int b = blockIdx.x / (across * down), rest = blockIdx.x % (across * down);
  const int row0 = rest / across * SIDE, frame0 = rest % across * SIDE;
  const Item item = read_item(a, b);
  if (row0 >= item.tokens || frame0 >= item.frames) return;
  if (frame0 + SIDE - 1 < row0 || frame0 > item.slack + row0 + SIDE - 1) return;  // before or after any path
  Maker maker(g, item, b, space, threadIdx.x);
  Tile t;
  maker.begin(row0, frame0);
  maker.prepare();
  maker.make(t, false, 0, 0);
  float* const rows = (float*)a.scores + b * a.stride_b + row0 * a.stride_i + frame0;
  const int tokens = item.tokens - row0, frames = (int)(a.stride_i - frame0);
  maker.put(t, [&](int token, int frame, float4 v) {
    if (token < tokens && frame < frames) *(float4*)(rows + token * a.stride_i + frame) = v;
  });
}

// ---------------------------------------------------------------- for the search, as it goes

// Each dp warp has a ring of two tiles in global memory, which its loader reads and which stays in the cache: 128 rows,
// 256 columns counted from the warp's row0. 16 rows and 8 columns lie together, as a warp of the team has them.
constexpr int TILE_FLOATS = SIDE * SIDE, RING_FLOATS = 2 * TILE_FLOATS;

// Where four columns of a row lie, in floats.
DEVICE constexpr int place_in_tile(int row, int column) {
  return (row / 16 * (SIDE / 8) + column / 8) * 128 + ((row & 7) << 4) + (row >> 3 & 1) * 8 + (column & 4);
}

DEVICE int tiles_of(const Item& item, const Share& w) { return (item.slack + w.rows - 1) / SIDE + 1; }

// Makes tiles for the warps of rows that this thread block holds, in the order in which they will be wanted: each is some 9
// stages, or two tiles, behind the one before. barriers: 4 a warp: of each slot "produced", then of each "freed".
DEVICE void produce(const Gaussians& g, const Item& item, int b, int first_warp, float* rings, u32 barriers, unsigned char* space, int thread) {
  // The n-th in order is tile n / W - 2 w of warp w = n % W.
  auto warp_of = [](int n) { return n % W; };
  auto tile_of = [](int n) { return n / W - 2 * (n % W); };
  int end = 0;
#pragma unroll 1
  for (int w = 0; w < W && (first_warp + w) * ROWS < item.tokens; ++w)
    end = max(end, (tiles_of(item, share_of(item, first_warp + w)) + 2 * w) * W);
  auto row0_of = [&](int n) { return (first_warp + warp_of(n)) * ROWS; };
  auto next = [&](int n) {
    for (++n; n < end; ++n)
      if (tile_of(n) >= 0 && row0_of(n) < item.tokens && tile_of(n) < tiles_of(item, share_of(item, first_warp + warp_of(n)))) break;
    return n;
  };
  Maker maker(g, item, b, space, thread);
  int n = next(-1);
  if (n >= end) return;
  maker.begin(row0_of(n), row0_of(n) + tile_of(n) * SIDE);
  maker.prepare();
#pragma unroll 1
  while (n < end) {
    const int then = next(n), slot = tile_of(n) & 1, turn = tile_of(n) >> 1, w = warp_of(n);
    const u32 produced = barriers + (4 * w + slot) * 8, freed = produced + 16;
    Tile t;
    maker.make(t, then < end, row0_of(then), row0_of(then) + tile_of(then) * SIDE);
    if (turn > 0) barrier_wait(freed, (turn - 1) & 1);
    float* const to = rings + w * RING_FLOATS + slot * TILE_FLOATS;
    maker.put(t, [&](int token, int frame, float4 v) { *(float4*)(to + place_in_tile(token, frame)) = v; });
    barrier_arrive(produced);
    n = then;
  }
}
