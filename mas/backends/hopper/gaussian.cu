// Gaussian scores by tensor cores, for search.cu, which includes this file; see there for names and conventions.
//
//     x[i, j] = sum_c -0.5 w z^2 + w m z  +  constant - sum_c (log_scale + 0.5 w m^2),    w = exp(-2 log_scale)
//
// with means m[i, c] and speech z[j, c]: the product of [w m, -0.5 w] with [z, z^2]. Without scales w is 1, and
// what depends on the frame alone is left out: every path passes every frame once.
//
// Each factor is a sum of two bfloat16, of which all products but that of the two small parts are added up in float32:
// off by about 2^-16 of the largest term, where one bfloat16 is off by 2^-8.
//
// A team of 8 warps makes tiles of 128 tokens and 128 frames. Channels come in slices: while the tensor cores multiply one
// (wgmma, which reads shared memory by itself), the team splits the next and leaves it there, and reads the one after.

struct Gaussians {
  const float* mean;
  i64 mean_b;
  int mean_i, mean_c;  // strides that an item's elements can be counted in; log_scale has the same
  const float* log_scale;  // not looked at if UNIT_VARIANCE
  i64 scale_b;
  const float* speech;
  i64 speech_b;
  int speech_j, speech_c;
  int C;
  float constant;  // -0.5 C log(2 pi)
};

static_assert(sizeof(Gaussians) == GAUSSIANS_BYTES, "gaussian.py has the same structure");

// gaussian.py passes, with -D:
//   UNIT_VARIANCE     whether there are no scales
//   TOKENS_BY_FOURS, FRAMES_BY_FOURS   whether channels lie side by side, so that four from a multiple of four on can be
//                     read at once
//   SIDE              tokens and frames of a tile
//   TEAM              threads that make a tile
//   QUARTERS          quarter tiles in the ring of a dp warp: see "for the search, as it goes"
//   TILE_BYTES, RING_FLOATS, MOST_TOKENS, GAUSSIANS_BYTES   for assertions
constexpr bool SCALED = !UNIT_VARIANCE;
constexpr int SLICE_BYTES = 2 * SIDE * 128;  // 128 bytes a token, then 128 a frame
constexpr int CONSTANTS = 4 * SIDE;          // of a tile: each token's is the sum of four
static_assert(SIDE == 128 && TEAM == 256, "a thread's part of a tile, and of its sums");
static_assert(TILE_BYTES == 2 * SLICE_BYTES + 2 * CONSTANTS * 4, "gaussian.py allots shared memory for a team");
constexpr int STEP = SCALED ? 16 : 32;       // channels a slice

// The 128 bytes of a token or frame are 8 pieces of 8 bfloat16: large parts of kind 0, kind 1, then small parts of both,
// two pieces each. Kind 0 and 1 are w m and -0.5 w (z and z^2), or without scales the first and second 16 channels. Pieces
// are swapped about as wgmma's 128-byte swizzle has them.
DEVICE int piece(int row, int index) { return row * 128 + ((index ^ (row & 7)) << 4); }
constexpr int KIND_PIECE = 32, SMALL_PIECE = 64;  // to be flipped in the address of a piece

constexpr float MINUS_2_LOG2_E = -2.885390082f;   // exp(-2 x) is 2 to this times x

#define MEMBER __device__ __forceinline__

// Four channels as large and small parts to where those of kind 0 are.
DEVICE void store_split(u32 to, int kind, const float (&v)[4]) {
  u32 large[2], small[2];
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    large[n] = two_bfloats(v[2 * n], v[2 * n + 1]);
    small[n] = two_bfloats(v[2 * n] - __uint_as_float(large[n] << 16), v[2 * n + 1] - __uint_as_float(large[n] & 0xffff0000u));
  }
  store2(to ^ kind * KIND_PIECE, large);
  store2(to ^ (kind * KIND_PIECE + SMALL_PIECE), small);
}

struct Tile {
  float sums[64];  // of a thread: see Maker::put
};

// What wgmma wants to know of 16 channels of some rows (a multiple of 8, 1024 bytes for each 8) in shared memory.
DEVICE u64 operand(u32 address) { return 1ull << 62 | 64ull << 32 | 1ull << 16 | (address & 0x3ffff) >> 4; }

// Half of the team has 64 tokens of the tile.
DEVICE void multiply_slice(Tile& t, u32 slice, int half, bool first) {
  const u64 tokens = operand(slice + half * 64 * 128), frames = operand(slice + SIDE * 128);
  constexpr int KIND = 2, SMALL = 4;  // 32 and 64 bytes on
#pragma unroll
  for (int kind = 0; kind < 2; ++kind) {
    multiply(t.sums, tokens + kind * KIND, frames + kind * KIND + SMALL, kind > 0 || !first);
    multiply(t.sums, tokens + kind * KIND + SMALL, frames + kind * KIND, 1);
    multiply(t.sums, tokens + kind * KIND, frames + kind * KIND, 1);
  }
}

// Which of a slice's 128 rows a thread reads and splits, two times four channels each. Neighbouring threads have neighbouring
// channels if those can be read by fours (and rows 2 apart, so that they write to different banks), else neighbouring rows.
template <bool BY_FOURS>
struct Part {
  MEMBER static int row(int thread, int n) {
    const int four = thread >> 2;
    return BY_FOURS ? ((four & ~7) | (four & 3) << 1 | (four >> 2 & 1)) + 64 * n : thread & 127;
  }
  MEMBER static int channel(int thread, int n) { return BY_FOURS ? (thread & 3) * 4 : (thread >> 7) * 8 + 4 * n; }
  // where the n-th four belong
  MEMBER static u32 place(int thread, int n) {
    return piece(row(thread, 0), channel(thread, 0) >> 3) + ((channel(thread, 0) & 4) << 1) + n * (BY_FOURS ? 64 * 128 : 8);
  }
};
typedef Part<TOKENS_BY_FOURS> Tokens;
typedef Part<FRAMES_BY_FOURS> Frames;

// Of 16 rows of frames that are multiplied, a thread gets the sums of 2 q, 2 q + 1, 2 q + 8 and 2 q + 9: those rows are to be
// frames 4 q to 4 q + 3.
DEVICE int frame_of_row(int row) { return (row & ~15) | (row & 6) << 1 | (row >> 2 & 2) | (row & 1); }

// Four channels, `step` apart, of which there are `left`; zeros for the rest.
template <bool BY_FOURS>
DEVICE void read_channels(float (&v)[4], const float* at, int step, bool all, int left) {
  if (all) {  // with this branch, what is read is asked for here and not later
    if (BY_FOURS) {
      read4(v, at);
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) read1(v[k], at + k * step);
    }
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) read1_if_left(v[k], at + k * step, left - k);
  }
}

// What a thread knows of the tile it works on, and what it has read of the next slice. Rows and frames beyond the item's are
// the last again: nobody looks at their scores.
struct Maker {
  const Gaussians& g;
  const Item& item;
  int thread;
  unsigned char* space;                    // TILE_BYTES of shared memory
  const float *mean, *log_scale, *speech;  // the item's
  int c;                                   // the next slice's first channel
  bool there;                              // whether there is a next slice
  int token_at[2], frame_at[2];            // where its tile's means and frames begin for this thread
  int buffer, parity;                      // of the slice that is ready, and of the tile
  float constant[2];
  float m[2][4], other[2][4], z[2][4], z_more[2][4];

  MEMBER Maker(const Gaussians& g, const Item& item, int b, unsigned char* space, int thread)
      : g(g), item(item), thread(thread), space(space), mean(g.mean + b * g.mean_b), log_scale(g.log_scale + b * g.scale_b),
        speech(g.speech + b * g.speech_b), there(true), buffer(0), parity(0), constant{0.0f, 0.0f} {}

  MEMBER void begin(int row0, int frame0) {
    c = 0;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      token_at[n] = min(row0 + Tokens::row(thread, n), item.tokens - 1) * g.mean_i + Tokens::channel(thread, n) * g.mean_c;
      const int frame = frame0 + frame_of_row(Frames::row(thread, n));
      frame_at[n] = min(frame, item.frames - 1) * g.speech_j + Frames::channel(thread, n) * g.speech_c;
    }
  }

  MEMBER void read_token(int n, bool all) {
    const int at = token_at[n] + c * g.mean_c, left = g.C - c - Tokens::channel(thread, n);
    read_channels<TOKENS_BY_FOURS>(m[n], mean + at, g.mean_c, all, left);
    if (SCALED) read_channels<TOKENS_BY_FOURS>(other[n], log_scale + at, g.mean_c, all, left);
    else read_channels<TOKENS_BY_FOURS>(other[n], mean + (at + 16 * g.mean_c), g.mean_c, all, left - 16);
  }

  MEMBER void read_frame(int n, bool all) {
    const int at = frame_at[n] + c * g.speech_c, left = g.C - c - Frames::channel(thread, n);
    read_channels<FRAMES_BY_FOURS>(z[n], speech + at, g.speech_c, all, left);
    if (!SCALED) read_channels<FRAMES_BY_FOURS>(z_more[n], speech + (at + 16 * g.speech_c), g.speech_c, all, left - 16);
  }

  MEMBER void split_token(int n, u32 to) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float& mean = m[n][k];
      float& more = other[n][k];
      if (SCALED) {
        const float w = power_of_2(MINUS_2_LOG2_E * more);  // exp(-2 log_scale)
        const float wm = w * mean;
        constant[n] = fmaf(2.0f, more, fmaf(mean, wm, constant[n]));
        mean = wm, more = -0.5f * w;
      } else {
        constant[n] = fmaf(more, more, fmaf(mean, mean, constant[n]));
      }
    }
    store_split(to, 0, m[n]), store_split(to, 1, other[n]);
  }

  MEMBER void split_frame(int n, u32 to) {
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (SCALED) z_more[n][k] = z[n][k] * z[n][k];
    store_split(to, 0, z[n]), store_split(to, 1, z_more[n]);
  }

  // Leaves what was read in `to`, with a tile's last slice the tokens' constants too, and reads the next slice: each piece as
  // soon as its registers are free. next() begins another tile, or says that there is none.
  template <class Next>
  MEMBER void split(int to, int constants_of, Next next) {
    const u32 tokens = shared_address(space) + to * SLICE_BYTES, frames = tokens + SIDE * 128;
    const bool last = c + STEP >= g.C;
    c += STEP;
    if (last) there = next();
    if (!there) c = 0;  // what is read then is not looked at
    const bool all = c + STEP <= g.C;
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      split_token(n, tokens + Tokens::place(thread, n));
      if (last) {
        const u32 at = constants(constants_of) + (Tokens::channel(thread, n) / 4 * SIDE + Tokens::row(thread, n)) * 4;
        store1(at, -0.5f * constant[n]);
        constant[n] = 0.0f;
      }
      read_token(n, all);
      split_frame(n, frames + Frames::place(thread, n));
      read_frame(n, all);
    }
  }

  MEMBER u32 constants(int of) const { return shared_address(space) + 2 * SLICE_BYTES + of * CONSTANTS * 4; }

  // The first slice of the first tile, begun before.
  template <class Next>
  MEMBER void prepare(Next next) {
#pragma unroll
    for (int n = 0; n < 2; ++n) read_token(n, STEP <= g.C), read_frame(n, STEP <= g.C);
    split(buffer, parity, next);
    show_to_tensor_cores();
    threads_sync<TEAM>();
  }

  // The tile whose first slice is ready. meanwhile() is called once.
  template <class Next, class Meanwhile>
  MEMBER void make(Tile& t, Next next, Meanwhile meanwhile) {
    const int half = __shfl_sync(~0u, thread >> 7, 0);
    const u32 slices = shared_address(space);
#pragma unroll 1
    for (int done = 0; done < g.C; done += STEP) {
      products_begin();
      multiply_slice(t, slices + buffer * SLICE_BYTES, half, done == 0);
      products_queued();
      if (done == STEP) meanwhile();
      buffer ^= 1;
      if (there) split(buffer, done + STEP < g.C ? parity : parity ^ 1, next);
      show_to_tensor_cores();
      products_wait();
      threads_sync<TEAM>();
    }
    if (g.C <= STEP) meanwhile();
    parity ^= 1;
  }

  // What the two tokens of the tile made last that this thread has sums of have for a constant.
  MEMBER void read_constants(float (&of)[2]) const {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      const u32 own = constants(parity ^ 1) + ((thread >> 5) * 16 + 8 * m + (thread >> 2 & 7)) * 4;
      float v[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) v[k] = load1(own + k * SIDE * 4);
      of[m] = g.constant + ((v[0] + v[1]) + (v[2] + v[3]));
    }
  }

  // Hands put(token, frame, four frames' scores) 32 frames of the tile made last, piece by piece: of 8 tokens and 16 frames, a
  // quarter of a warp has 2 tokens.
  template <class Put>
  MEMBER void put(const Tile& t, const float (&constant)[2], int first_frame, Put put) const {
    const int token = (thread >> 5) * 16 + (thread >> 2 & 7);
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int frame = first_frame; frame < first_frame + 32; frame += 16) {
        const float* const sums = t.sums + frame / 2 + 2 * m;
        put(token + 8 * m, frame + 4 * (thread & 3),
            make_float4(sums[0] + constant[m], sums[1] + constant[m], sums[4] + constant[m], sums[5] + constant[m]));
      }
  }
};

// a.scores [B, T, S], rows of stride_i floats, a multiple of 4, wherever some path can pass; the rest may stay as it was.
// grid: B * tiles of tokens * tiles of frames.
extern "C" __global__ void __launch_bounds__(TEAM, 2) scores(const Arguments a, const Gaussians g) {
  extern __shared__ __align__(1024) unsigned char space[];
  const int across = (a.S + SIDE - 1) / SIDE, down = (a.T + SIDE - 1) / SIDE;
  const int b = blockIdx.x / (across * down), rest = blockIdx.x % (across * down);
  const int row0 = rest / across * SIDE, frame0 = rest % across * SIDE;
  const Item item = read_item(a, b);
  if (row0 >= item.tokens || frame0 >= item.frames) return;
  if (frame0 + SIDE - 1 < row0 || frame0 > item.slack + row0 + SIDE - 1) return;  // before or after any path
  Maker maker(g, item, b, space, threadIdx.x);
  Tile t;
  maker.begin(row0, frame0);
  auto none = [] { return false; };
  maker.prepare(none);
  maker.make(t, none, [] {});
  float* const rows = (float*)a.scores + b * a.stride_b + row0 * a.stride_i + frame0;
  const int tokens = item.tokens - row0, frames = (int)(a.stride_i - frame0);
  auto store = [&](int token, int frame, float4 v) {
    if (token < tokens && frame < frames) *(float4*)(rows + token * a.stride_i + frame) = v;
  };
  float constant[2];
  maker.read_constants(constant);
#pragma unroll
  for (int quarter = 0; quarter < 4; ++quarter) maker.put(t, constant, 32 * quarter, store);
}

// ---------------------------------------------------------------- for the search, as it goes

// Each dp warp has a ring of quarter tiles in global memory, which its loader reads and which stays in the cache: of 128 rows
// and 32 columns counted from the warp's row0. 8 rows and 16 columns lie together, as a warp of the team has them.
// Two tiles are what it takes to go on; the ninth quarter saves waiting, and 64 MB hold no tenth at 16 texts of 2048 tokens.
constexpr int QUARTER_FLOATS = SIDE * 32;
static_assert(RING_FLOATS == QUARTERS * QUARTER_FLOATS, "gaussian.py allots a ring for each dp warp");

// Where four columns of a row lie, in floats.
DEVICE constexpr int place_in_quarter(int row, int column) {
  return (row / 8 * 2 + column / 16) * 128 + (row & 7) * 16 + (column & 15);
}

DEVICE int tiles_of(const Item& item, const Share& share) { return (item.slack + share.rows - 1) / SIDE + 1; }

constexpr int MOST_WARPS = 34;  // dp warps of an item: 11 thread blocks of 3 for 4096 tokens, or 16 of 2
static_assert(MOST_TOKENS <= MOST_WARPS * ROWS, "gaussian.py sends longer texts elsewhere");

// The tiles of an item, shared out evenly to its thread blocks, in the order in which they will be wanted: round by round,
// warp after warp, of which each is 8 stages, or two tiles, behind the one before. A tile can be put where it belongs once all
// of the rounds before have been, so that nobody waits for what comes later.
struct Order {
  int warps, tiles, last_tiles;  // tiles of the last warp, and of each of the others
  int round, place, step;

  MEMBER Order(const Item& item, int rank, int size) : round(0), place(rank), step(size) {
    warps = (item.tokens + ROWS - 1) / ROWS;
    tiles = tiles_of(item, share_of(item, 0));
    last_tiles = tiles_of(item, share_of(item, warps - 1));
    settle();
  }
  MEMBER int first_warp() const { return max(0, (round - tiles + 2) >> 1); }
  MEMBER int after_last_warp() const {
    const int end = min(round / 2 + 1, warps);
    return end == warps && round - 2 * (warps - 1) >= last_tiles ? end - 1 : end;
  }
  MEMBER bool more() const { return round < 2 * warps + max(tiles, last_tiles); }
  MEMBER void settle() {
    for (int n; more() && place >= (n = max(0, after_last_warp() - first_warp())); ++round) place -= n;
  }
  MEMBER void next() { place += step, settle(); }
  MEMBER int warp() const { return first_warp() + place; }
  MEMBER int tile() const { return round - 2 * warp(); }
};

// Makes tiles for all warps of an item together with the other thread blocks of the cluster. produced: barriers of the two
// tiles of each of this block's warps, which the others have at the same place. freed: how many quarter tiles of each warp are
// done with.
DEVICE void produce(const Gaussians& g, const Item& item, int b, float* rings, u32 produced, u32 freed, unsigned char* space,
                    int thread) {
  Maker maker(g, item, b, space, thread);
  Order order(item, cluster_rank(), cluster_size()), ahead = order;
  auto begin = [&] { maker.begin(ahead.warp() * ROWS, ahead.warp() * ROWS + ahead.tile() * SIDE); };
  auto begin_next = [&] {
    ahead.next();
    if (ahead.more()) begin();
    return ahead.more();
  };
  // A tile is handed over while the next one is made: by then it has arrived where everybody sees it.
  u32 produced_now = 0;
  auto say_produced = [&] {
    if (thread % 32 == 0 && produced_now != 0) arrive_in_cluster(produced_now);
    __syncwarp();
  };
  if (!order.more()) return;
  begin();
  maker.prepare(begin_next);
#pragma unroll 1
  for (; order.more(); order.next()) {
    const int tile = order.tile(), warp = order.warp();
    Tile t;
    maker.make(t, begin_next, say_produced);
    float constant[2];
    maker.read_constants(constant);
    int slot = 4 * tile % QUARTERS;
#pragma unroll
    for (int quarter = 0; quarter < 4; ++quarter) {
      if (thread % 32 == 0)
        while (load_in_cluster(freed + 4 * warp) <= 4 * tile + quarter - QUARTERS) __nanosleep(20);
      __syncwarp();
      float* const to = rings + (warp * QUARTERS + slot) * QUARTER_FLOATS;
      maker.put(t, constant, 32 * quarter, [&](int token, int frame, float4 v) {
        *(float4*)(to + place_in_quarter(token, frame & 31)) = v;
      });
      slot = slot + 1 == QUARTERS ? 0 : slot + 1;
    }
    produced_now = in_block(produced + (warp % W * 2 + tile % 2) * 8, warp / W);
    __syncwarp();
    if (g.C <= STEP) threads_sync<TEAM>();  // this tile's constants may be overwritten from here on
  }
  say_produced();
}
