// The search where tokens may be skipped, where scores are the emissions of states, or for long texts. Compiled by
// lockstep.py when first needed.
//
// B batch, T text tokens, S speech frames, M states; i counts tokens (rows), j frames (columns), x[i, j] are the scores.
//
//     Q[i, j] = max(Q[i, j-1], Q[i-1, j-1], Q[i-2, j-1] if row i-1 is skippable) + x[i, j]      in fp32, in column order
//
// Rows. A cluster of thread blocks holds neighbouring rows. Each "row" warp has its own rows, and above them a halo of as many
// rows as a path can move down in K columns. Q is in registers, R rows a lane. All lanes are at the same column: what a lane
// needs of the rows above its own comes by a shuffle. After every K columns, when no row of the halo is right any more, the
// halo is renewed with a message from the warp above, which may sit in the next thread block of the cluster.
//
// Scores. Loader warps fill a ring of tiles in shared memory: K columns of every slot, where a slot is a state, or a row of
// the thread block if there are more states than that. A lane reads the four next columns of the slot of its row at once.
//
// Decisions. For each row and K columns one word: bit K-1-k of the lower half says that the best path to the k-th column came
// from another row, the same bit of the upper half that it then came from two rows above.
//
// Way back. `follow` finds for each row at the end of a segment of columns the row in which its path enters the segment, all
// rows and segments at once. `count` chains those rows up to its own segment and counts the frames of each row there.
//
// Long texts. Launches of `search` go on from a column of Q in memory and leave another. Of a text with more rows than a
// cluster holds, each cluster gives some rows only, and has as many above them as a path can move down during the launch.
// The way back goes from the last stretch of columns to the first: each is searched again, only with the rows in which the
// path can be, and this time with decisions.

#include "ptx.cuh"

// lockstep.py passes, with -D:
//   SKIPS             whether tokens may be skipped
//   SCORE_TYPE        FLOAT32, FLOAT16 or BFLOAT16
//   K, R              columns of a tile, rows a lane
//   OWN               rows of a warp without its halo
//   SLOT_BYTES        of a slot in a tile
//   INBOX             messages a warp can be ahead of the next; a power of two
//   MOST_WARPS, MOST_STAGES   row warps of a thread block, tiles in its ring
//   SEGMENT           columns that `follow` and `count` go back over at once
//   FOLLOW_ROWS, COUNT_THREADS   their threads; `follow` has a row for each
//   WHOLE, SLICES, WINDOW     what `search` is to do: a whole item, or some columns of it, with all rows or those of a path
//   ARGUMENTS_BYTES   for an assertion

struct Arguments {
  const char* scores;
  i64 stride_b, stride_j, stride_slot;  // in elements; stride_slot is that of a state, or of a row
  const i64* starts;                    // first column of each item, or null
  const void* states;                   // [B, T], or null: a row is its own state
  const unsigned char* skippable;       // [B, T]
  const void* text_lengths;
  const void* speech_lengths;
  i64* durations;                       // [B, T]
  u32* words;                           // [B, blocks of K columns, pitch]
  int* entries;                         // [B, segments, pitch]: what `follow` finds
  float* ends;                          // [B, 2]: Q of the last row, and of the row above, at the last column
  int* before;                          // [B, T + 1]: columns needed before each row; unless WHOLE
  int* needed;                          // [B]: columns that an item needs, -1 if it has no path; unless WHOLE
  const float* column_in;               // [B, T]: Q at the column before the first
  float* column_out;                    // [B, T]: at the last
  const int* row_in;                    // [B]: the path's row at the last column; WINDOW only
  int* row_out;                         // [B]: at the column before the first
  int T, S, M;                          // S: columns that exist; of packed items together
  int most_columns;                     // of an item
  int states_are_int64, text_lengths_are_int64, speech_lengths_are_int64;
  int mode, slots, by_state, stages;
  int first_column, n_columns;
  int slices, slice_rows, slice_halo;   // SLICES only: clusters of an item, the rows each gives, how many more it has above
  int pitch, n_blocks, n_segments;
};

static_assert(sizeof(Arguments) == ARGUMENTS_BYTES, "lockstep.py has the same structure");

constexpr int REACH = SKIPS ? 2 : 1;  // rows that a path moves down at most from one column to the next
constexpr int HALO = REACH * K, HALO_LANES = HALO / R;
constexpr int MESSAGE_BYTES = 4 * HALO;
constexpr int BLOCKS = SEGMENT / K;          // of a segment
constexpr int SEGMENT_ROWS = REACH * SEGMENT;  // that a path moves down at most in a segment
static_assert(R == 4, "lanes give their rows' Q, and words, as four numbers at once");
static_assert(K == 16, "a word has two halves");
static_assert(SLOT_BYTES == 4 * (K + 4), "lanes that read different slots should not meet in a bank");
static_assert(OWN == 32 * R - HALO, "lockstep.py spreads rows over warps");
static_assert((INBOX & (INBOX - 1)) == 0, "places in an inbox are masked");
constexpr int NEVER = 0x7fffffff;
#define NEG_INF __int_as_float(0xff800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)

struct Item {
  int tokens, frames;
  i64 start;
  bool fits;
};

DEVICE i64 integer(const void* from, i64 at, int are_int64) {
  return are_int64 ? ((const i64*)from)[at] : (i64)((const int*)from)[at];
}

DEVICE Item read_item(const Arguments& a, int b) {
  const i64 tokens = integer(a.text_lengths, b, a.text_lengths_are_int64);
  const i64 frames = integer(a.speech_lengths, b, a.speech_lengths_are_int64);
  Item item;
  item.start = a.starts ? a.starts[b] : 0;
  item.fits = tokens >= 1 && tokens <= a.T && frames >= 1 && frames <= a.most_columns && item.start >= 0 &&
              item.start <= a.S - frames;
  item.tokens = item.fits ? (int)tokens : 0;
  item.frames = item.fits ? (int)frames : 0;
  return item;
}

DEVICE bool may_skip(const Arguments& a, int b, int row) { return SKIPS && a.skippable[(i64)b * a.T + row]; }

// The row in which an item's path ends; -1 if there is no path.
DEVICE int last_row(const Arguments& a, const Item& item, int b) {
  if (!item.fits) return -1;
  float q = a.ends[2 * b];
  int row = item.tokens - 1;
  if (item.tokens > 1 && may_skip(a, b, row)) {
    const float q_above = a.ends[2 * b + 1];
    if (q < q_above) --row;
    q = max_nan(q, q_above);
  }
  return fabsf(q) < -NEG_INF ? row : -1;
}

// ---------------------------------------------------------------- which cells some path can visit

// By a whole thread block: counts the columns needed before each row (`before`, of tokens + 1, only with skips). The result is
// what the item needs in all; -1 if it has no path, whatever its scores.
constexpr int PLANNED = 4;               // rows that a thread looks at at once
constexpr int COUNTS = 2 * PLANNED * 32;  // room that it takes

DEVICE int plan(const Arguments& a, const Item& item, int b, int* before, int* counts) {
  const int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5, threads = blockDim.x, warps = threads >> 5;
  bool bad = !item.fits;
  int needed = 0;
  for (int base = 0; base < item.tokens; base += PLANNED * threads) {
    bool needs[PLANNED];
#pragma unroll
    for (int n = 0; n < PLANNED; ++n) {
      const int row = base + n * threads + tid;
      const bool there = row < item.tokens, skips = there && may_skip(a, b, row);
      if (there && a.states) {
        const i64 state = integer(a.states, (i64)b * a.T + row, a.states_are_int64);
        bad |= state < 0 || state >= a.M;
      }
      bad |= skips && row + 1 < item.tokens && may_skip(a, b, row + 1);
      needs[n] = there && !skips;
    }
    if (!SKIPS) continue;
    int* const counts_now = counts + (base / (PLANNED * threads) & 1) * PLANNED * 32;
    int above[PLANNED];
#pragma unroll
    for (int n = 0; n < PLANNED; ++n) {
      const u32 of_warp = __ballot_sync(~0u, needs[n]);
      if (lane == 0) counts_now[n * warps + warp] = __popc(of_warp);
      above[n] = needed + __popc(of_warp & ((1u << lane) - 1));
    }
    __syncthreads();
    for (int k = 0; k < PLANNED * warps; ++k) {
      const int count = counts_now[k];
      needed += count;
#pragma unroll
      for (int n = 0; n < PLANNED; ++n) above[n] += k < n * warps + warp ? count : 0;
    }
#pragma unroll
    for (int n = 0; n < PLANNED; ++n) {
      const int row = base + n * threads + tid;
      if (row < item.tokens) before[row] = above[n];
    }
  }
  if (SKIPS) {
    if (tid == 0 && item.fits) before[item.tokens] = needed;
  } else {
    needed = item.tokens;
  }
  return __syncthreads_or(bad || needed > item.frames) ? -1 : needed;
}

// The first and last column in which a path can be in a row; neither is less for a later row. A row that must be skipped has
// its last column before its first.
struct Visitable {
  const int* before;
  int spare;  // columns that the item has beyond those it needs

  __device__ __forceinline__ int first(int row) const { return SKIPS ? before[row] : row; }
  __device__ __forceinline__ int last(int row) const { return (SKIPS ? before[row + 1] - 1 : row) + spare; }
};

struct Band {  // those columns for the first and last of some rows; without rows, none
  int first_of_highest, first_of_lowest, last_of_highest, last_of_lowest;
};

DEVICE Band band_of(const Visitable& visitable, int highest, int lowest) {
  if (lowest < highest) return {NEVER, NEVER, -1, -1};
  return {visitable.first(highest), visitable.first(lowest), visitable.last(highest), visitable.last(lowest)};
}

// What is known before the search: -1 if there is no path, whatever the scores, else 0. By so many threads.
DEVICE void set_result(const Arguments& a, int b, int duration, int thread, int threads) {
  if (thread < 2 && duration < 0) a.ends[2 * b + thread] = NOT_A_NUMBER;
  for (int row = thread; row < a.T; row += threads) a.durations[(i64)b * a.T + row] = duration;
}

// For items that are not searched in one launch. grid: B.
extern "C" __global__ void __launch_bounds__(1024) prepare(const Arguments a) {
  __shared__ int counts[COUNTS];
  const int b = blockIdx.x, tid = threadIdx.x;
  const Item item = read_item(a, b);
  const int needed = plan(a, item, b, a.before + (i64)b * (a.T + 1), counts);
  if (tid == 0) a.needed[b] = needed;
  set_result(a, b, needed < 0 ? -1 : 0, tid, blockDim.x);
}

// ---------------------------------------------------------------- loader warps

#if SCORE_TYPE == FLOAT32
constexpr int ELEMENT = 4;
#else
constexpr int ELEMENT = 2;
DEVICE float widen(u32 bits) {
#if SCORE_TYPE == FLOAT16
  return float_of_half(bits);
#else
  return __uint_as_float(bits << 16);
#endif
}
#endif

struct Columns {
  int from, until;  // of this launch
  int blocks;       // of K columns
};

struct Tiles {
  u32 ring, loaded, consumed;  // addresses: of the tiles, and of the barriers of each
  int stages, bytes;           // how many tiles, and the size of one
};

// 8 slots and 4 columns at a time: those are in 32 different banks.
DEVICE void load_tiles(const Arguments& a, const Item& item, int b, const Columns& columns, const Tiles& tiles,
                       const int* slot_index, const Band& band, int loader, int loaders, int lane) {
  const int slot_of_lane = lane >> 2, column_of_lane = lane & 3;
  const char* const origin = a.scores + ELEMENT * (b * a.stride_b + item.start * a.stride_j);
  const i64 step_j = ELEMENT * a.stride_j, step_slot = ELEMENT * a.stride_slot;
  int stage = 0, turn = 0;
#pragma unroll 1
  for (int n = 0; n < columns.blocks; ++n) {
    if (turn > 0) barrier_wait(tiles.consumed + stage * 8, (turn - 1) & 1);
    const int j = columns.from + n * K;
    if (j + K > band.first_of_highest && j <= band.last_of_lowest) {
      const u32 to = tiles.ring + stage * tiles.bytes + slot_of_lane * SLOT_BYTES + column_of_lane * 4;
      const bool inside = j + K <= item.frames;
#pragma unroll 2
      for (int slot = 8 * loader; slot < a.slots; slot += 8 * loaders) {
        if (slot + slot_of_lane >= a.slots) break;
        const char* from = origin + slot_index[slot + slot_of_lane] * step_slot;
        u32 at = to + slot * SLOT_BYTES;
#if SCORE_TYPE == FLOAT32
        if (inside) {
          from += (j + column_of_lane) * step_j;
#pragma unroll
          for (int k = 0; k < K; k += 4) copy4(at + 4 * k, from), from += 4 * step_j;
        } else {
#pragma unroll
          for (int k = 0; k < K; k += 4)
            copy4(at + 4 * k, from + min(j + column_of_lane + k, item.frames - 1) * step_j);
        }
#else
        u32 bits[K / 4];
#pragma unroll
        for (int k = 0; k < K / 4; ++k)
          bits[k] = read2_bytes(from + min(j + column_of_lane + 4 * k, item.frames - 1) * step_j);
#pragma unroll
        for (int k = 0; k < K / 4; ++k) store1(at + 16 * k, widen(bits[k]));
#endif
      }
    }
#if SCORE_TYPE == FLOAT32
    arrive_when_copied(tiles.loaded + stage * 8);
#else
    barrier_arrive(tiles.loaded + stage * 8);
#endif
    if (++stage == tiles.stages) stage = 0, ++turn;
  }
}

// ---------------------------------------------------------------- row warps

struct LaneState {
  float q[R];             // Q of its rows at the column before
  float skip_cost[R];     // 0 if the row above may be skipped, else -inf
  u32 slot[R];            // where its scores are in a tile
  int first[R];           // the row's first column
  u32 span[R];            // how many more some path can visit
  u32 leaves[R], skips[R];  // decisions, the last column's in bit 0
};

// EDGE: some cells are such that no path visits them. DECIDES: decisions are wanted.
template <bool EDGE, bool DECIDES>
DEVICE void advance(LaneState& lane, const float (&x)[R], int j) {
  float above, two_above;
  from_lane_before(above, lane.q[R - 1]);
  if (SKIPS) from_lane_before(two_above, lane.q[R - 2]);
#pragma unroll
  for (int r = R - 1; r >= 0; --r) {
    const float stay = lane.q[r];
    float leave = r > 0 ? lane.q[r - 1] : above;
    if (SKIPS) {
      const float skip = __fadd_rn(r > 1 ? lane.q[r - 2] : r > 0 ? above : two_above, lane.skip_cost[r]);
      // A difference of floats has the sign of their order: it is shifted into the word.
      if (DECIDES) lane.skips[r] = __funnelshift_l(__float_as_uint(__fsub_rn(leave, skip)), lane.skips[r], 1);
      leave = max_nan(leave, skip);
    }
    if (DECIDES) lane.leaves[r] = __funnelshift_l(__float_as_uint(__fsub_rn(stay, leave)), lane.leaves[r], 1);
    const float score = !EDGE || (u32)(j - lane.first[r]) <= lane.span[r] ? x[r] : NEG_INF;
    lane.q[r] = __fadd_rn(max_nan(stay, leave), score);
  }
}

struct Chunk {
  float x[4][R];  // of four columns
};

DEVICE void fetch(Chunk& chunk, const LaneState& lane, u32 tile, int column) {
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const float4 x = load4(tile + lane.slot[r] + 4 * column);
    chunk.x[0][r] = x.x, chunk.x[1][r] = x.y, chunk.x[2][r] = x.z, chunk.x[3][r] = x.w;
  }
}

// K columns from j on.
template <bool EDGE, bool DECIDES>
DEVICE void advance_block(LaneState& lane, u32 tile, int j) {
  Chunk even, odd;
  fetch(even, lane, tile, 0);
#pragma unroll 1
  for (int k = 0; k < K; k += 8) {
    fetch(odd, lane, tile, k + 4);
#pragma unroll
    for (int n = 0; n < 4; ++n) advance<EDGE, DECIDES>(lane, even.x[n], j + k + n);
    fetch(even, lane, tile, k + 8);  // what follows the last column is room between slots
#pragma unroll
    for (int n = 0; n < 4; ++n) advance<EDGE, DECIDES>(lane, odd.x[n], j + k + 4 + n);
  }
}

// As many columns as there are in an item's last block.
template <bool DECIDES>
DEVICE void advance_some(LaneState& lane, u32 tile, int j, int columns) {
#pragma unroll 1
  for (int k = 0; k < columns; ++k) {
    float x[R];
#pragma unroll
    for (int r = 0; r < R; ++r) x[r] = load1(tile + lane.slot[r] + 4 * k);
    __syncwarp();
    advance<true, DECIDES>(lane, x, j + k);
  }
#pragma unroll
  for (int r = 0; r < R; ++r) lane.leaves[r] <<= K - columns, lane.skips[r] <<= K - columns;
}

struct Rows {
  int top;         // the warp's first own row
  int row0;        // the cluster's first
  int given, until;  // from the first row on that this launch gives to the end of those it has to know
};

struct Links {
  u32 inbox, arrived, credit;          // this warp's; what it waits for before it writes
  u32 next_inbox, next_arrived;        // in the cluster
  u32 previous_credit;
  bool has_previous, has_next;
};

// A warp has a scheduler nearly to itself, so what it issues and waits for is what counts: between the K columns lanes differ
// by predicates only.
template <bool DECIDES>
DEVICE void run_rows(const Arguments& a, const Item& item, int b, const Columns& columns, const Rows& rows,
                     const Band& band, const Tiles& tiles, const Links& links, LaneState& lane_state, int lane, u32* words) {
  const bool halo = lane < HALO_LANES, first_lane = lane == 0, gives_message = lane >= 32 - HALO_LANES;
  const u32 take_from = links.inbox + lane % HALO_LANES * 16, give_to = links.next_inbox + (lane + HALO_LANES - 32) * 16;
  const int at = rows.top - rows.row0 + (lane - HALO_LANES) * R;
  const bool stores = DECIDES && !halo && at < a.pitch;
  words += at;
  int stage = 0, turn = 0;
#pragma unroll 1
  for (int n = 0; n < columns.blocks; ++n) {
    const int j = columns.from + n * K, left = columns.until - j;
    const bool receives = links.has_previous && n > 0, sends = links.has_next && n + 1 < columns.blocks;
    const bool needs_credit = sends && n >= INBOX;
    const u32 loaded = tiles.loaded + stage * 8, parity = turn & 1, tile = tiles.ring + stage * tiles.bytes;
    const int in = (n - 1) & (INBOX - 1), out = n & (INBOX - 1);
    barrier_wait(loaded, parity, receives ? links.arrived + in * 8 : loaded, receives ? (n - 1) / INBOX & 1 : parity,
                 needs_credit ? links.credit + out * 8 : loaded, needs_credit ? (n / INBOX - 1) & 1 : parity);
    __syncwarp();  // no lane still looks at a barrier that may move on by what others do below
    const float4 q = load4(take_from + in * MESSAGE_BYTES);
    const bool takes = receives && halo;
    lane_state.q[0] = takes ? q.x : lane_state.q[0], lane_state.q[1] = takes ? q.y : lane_state.q[1];
    lane_state.q[2] = takes ? q.z : lane_state.q[2], lane_state.q[3] = takes ? q.w : lane_state.q[3];
    if (j + K > band.first_of_highest && j <= band.last_of_lowest) {
      if (left < K) advance_some<DECIDES>(lane_state, tile, j, left);
      else if (j < band.first_of_lowest || j + K - 1 > band.last_of_highest) advance_block<true, DECIDES>(lane_state, tile, j);
      else advance_block<false, DECIDES>(lane_state, tile, j);
    }
    send4_if(sends && gives_message, give_to + out * MESSAGE_BYTES, links.next_arrived + out * 8, lane_state.q);
    if (DECIDES) {
      u32 word[R];
#pragma unroll
      for (int r = 0; r < R; ++r) word[r] = __byte_perm(lane_state.leaves[r], lane_state.skips[r], 0x5410);
      write_if(stores, words, word);
      words += a.pitch;
    }
    __syncwarp();
    arrive_if(first_lane, tiles.consumed + stage * 8);
    rearm_relaxed_if<MESSAGE_BYTES>(first_lane && receives, links.arrived + in * 8, links.previous_credit + in * 8);
    if (++stage == tiles.stages) stage = 0, ++turn;
  }
  if (halo || a.mode == WINDOW) return;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int row = rows.top + (lane - HALO_LANES) * R + r;
    if (row < rows.given || row >= rows.until) continue;
    if (a.mode == SLICES) a.column_out[(i64)b * a.T + row] = lane_state.q[r];
    if (columns.until == item.frames && row >= item.tokens - 2) a.ends[2 * b + item.tokens - 1 - row] = lane_state.q[r];
  }
}

// ---------------------------------------------------------------- search

// What the lane knows before the first column. local: the warp's number in its thread block.
DEVICE LaneState begin(const Arguments& a, int b, const Columns& columns, const Rows& rows, const Visitable& visitable,
                       int local, int lane) {
  LaneState state;
#pragma unroll
  for (int r = 0; r < R; ++r) {
    const int row = rows.top - HALO + lane * R + r;
    const bool above_all = row < 0 || row < rows.row0, there = !above_all && row < rows.until;
    int slot = a.slots;  // one more: -inf in every column
    if (there) slot = a.by_state ? (int)integer(a.states, (i64)b * a.T + row, a.states_are_int64) : local * OWN + lane * R + r;
    state.slot[r] = slot * SLOT_BYTES;
    state.skip_cost[r] = there && row >= 2 && may_skip(a, b, row - 1) ? 0.0f : NEG_INF;
    const int first = there ? visitable.first(row) : 0, last = there ? visitable.last(row) : NEVER;
    state.first[r] = last < first ? NEVER : first;
    state.span[r] = last < first ? 0 : last - first;
    state.leaves[r] = state.skips[r] = 0;
    state.q[r] = NEG_INF;
    if (columns.from == 0) {
      if (row == 0) state.q[r] = 0.0f;  // a path starts in the first row, or by a move from it
    } else if (there && (u32)(columns.from - 1 - state.first[r]) <= state.span[r]) {
      state.q[r] = a.column_in[(i64)b * a.T + row];
    }
  }
  return state;
}

// grid: B * slices clusters; block: W row warps, W loader warps.
extern "C" __global__ void __launch_bounds__(64 * MOST_WARPS, 2) search(const Arguments a) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ u64 all_barriers[2 * MOST_STAGES + MOST_WARPS * 2 * INBOX];
  __shared__ int counts[COUNTS];
  const int W = blockDim.x / 64, tid = threadIdx.x, lane = tid & 31, warp = __shfl_sync(~0u, tid >> 5, 0);
  const int rank = cluster_rank(), size = cluster_size(), unit = blockIdx.x / size;
  const int b = unit / a.slices, slice = unit % a.slices;
  const Item item = read_item(a, b);

  // Every thread block of the cluster returns here, or none.
  int needed;
  const int* before = (const int*)shared;
  if (a.mode == WHOLE) {
    needed = plan(a, item, b, (int*)shared, counts);
  } else {
    needed = a.needed[b], before = a.before + (i64)b * (a.T + 1);
  }
  if (needed < 0) {
    if (a.mode == WHOLE) set_result(a, b, -1, rank * blockDim.x + tid, size * blockDim.x);
    return;
  }
  const Visitable visitable = {before, item.frames - needed};
  Columns columns;
  columns.from = a.first_column, columns.until = min(item.frames, columns.from + a.n_columns);
  columns.blocks = (columns.until - columns.from + K - 1) / K;
  if (columns.blocks <= 0) return;
  Rows rows;
  rows.row0 = 0, rows.given = 0, rows.until = item.tokens;
  if (a.mode == SLICES) {
    rows.given = slice * a.slice_rows, rows.row0 = rows.given - a.slice_halo;
    rows.until = min(item.tokens, rows.given + a.slice_rows);
    if (rows.given >= rows.until) return;
    if (visitable.first(rows.given) >= columns.until || visitable.last(rows.until - 1) < columns.from) return;
  } else if (a.mode == WINDOW) {
    const int end = columns.until == item.frames ? last_row(a, item, b) : a.row_in[b];
    if (end < 0) return;
    rows.row0 = end - REACH * a.n_columns, rows.until = end + 1;
  }

  // shared memory: tiles, inboxes, what each slot is
  Tiles tiles;
  tiles.ring = shared_address(shared), tiles.stages = a.stages, tiles.bytes = (a.slots + 1) * SLOT_BYTES;
  tiles.loaded = shared_address(all_barriers), tiles.consumed = tiles.loaded + 8 * MOST_STAGES;
  const u32 inboxes = tiles.ring + tiles.stages * tiles.bytes, links_at = tiles.loaded + 16 * MOST_STAGES;
  int* const slot_index = (int*)(shared + tiles.stages * tiles.bytes + W * INBOX * MESSAGE_BYTES);
  const int block_row0 = rows.row0 + rank * W * OWN;
  const int working = max(0, min(W, (rows.until - block_row0 + OWN - 1) / OWN));  // row warps of this thread block
  const bool loads = warp >= W;
  const int local = loads ? warp - W : warp;
  rows.top = block_row0 + local * OWN;
  const int above_rows = max(rows.row0, 0);
  LaneState lane_state;
  Band band;
  if (loads) {
    band = band_of(visitable, max(block_row0 - HALO, above_rows), min(block_row0 + W * OWN, rows.until) - 1);
  } else {
    band = band_of(visitable, max(rows.top - HALO, above_rows), min(rows.top + OWN, rows.until) - 1);
    lane_state = begin(a, b, columns, rows, visitable, local, lane);
  }
  __syncthreads();  // `before` may lie where the tiles will
  for (int slot = tid; slot < a.slots; slot += blockDim.x) {
    int index = slot;
    if (!a.by_state) {
      index = max(0, min(block_row0 - HALO + slot, item.tokens - 1));
      if (a.states) index = (int)integer(a.states, (i64)b * a.T + index, a.states_are_int64);
    }
    slot_index[slot] = index;
  }
  for (int n = tid; n < tiles.stages * (K + 4); n += blockDim.x)
    store1(tiles.ring + n / (K + 4) * tiles.bytes + a.slots * SLOT_BYTES + n % (K + 4) * 4, NEG_INF);
  if (tid < tiles.stages) {
    barrier_init(tiles.loaded + tid * 8, 32 * W);
    barrier_init(tiles.consumed + tid * 8, max(1, working));
  }
  for (int n = tid; n < W * 2 * INBOX; n += blockDim.x) {
    barrier_init(links_at + n * 8, 1);
    if (n % (2 * INBOX) < INBOX) barrier_expect(links_at + n * 8, MESSAGE_BYTES);
  }
  show_barriers_to_cluster();
  if (size > 1) cluster_sync();
  else __syncthreads();
  if (a.mode == WHOLE) set_result(a, b, 0, rank * blockDim.x + tid, size * blockDim.x);

  if (loads) {
    if (working > 0) load_tiles(a, item, b, columns, tiles, slot_index, band, local, W, lane);
  } else if (local < working) {
    Links links;
    links.has_previous = rank > 0 || local > 0, links.has_next = rows.top + OWN < rows.until;
    links.inbox = inboxes + local * INBOX * MESSAGE_BYTES;
    links.arrived = links_at + local * 2 * INBOX * 8, links.credit = links.arrived + INBOX * 8;
    const int next = local + 1 < W ? local + 1 : 0, next_rank = local + 1 < W ? rank : min(rank + 1, size - 1);
    const int previous = local > 0 ? local - 1 : W - 1, previous_rank = local > 0 ? rank : max(rank - 1, 0);
    links.next_inbox = in_block(inboxes + next * INBOX * MESSAGE_BYTES, next_rank);
    links.next_arrived = in_block(links_at + next * 2 * INBOX * 8, next_rank);
    links.previous_credit = in_block(links_at + (previous * 2 + 1) * INBOX * 8, previous_rank);
    u32* const words = a.words + (i64)b * a.n_blocks * a.pitch;
    if (a.mode == SLICES) run_rows<false>(a, item, b, columns, rows, band, tiles, links, lane_state, lane, words);
    else run_rows<true>(a, item, b, columns, rows, band, tiles, links, lane_state, lane, words);
  }
  if (size > 1) cluster_sync();  // the others may still send to this thread block
}

// ---------------------------------------------------------------- the way back

struct Stretch {  // what one pair of launches goes back over; rows are counted from row0, columns from the first
  int row0, end, columns;
  bool last;  // whether the item's last column is among these
};

DEVICE Stretch stretch_of(const Arguments& a, const Item& item, int b) {
  Stretch stretch;
  const int until = min(item.frames, a.first_column + a.n_columns);
  stretch.columns = until - a.first_column;
  stretch.last = until == item.frames;
  const int end = stretch.columns <= 0 ? -1 : stretch.last ? last_row(a, item, b) : a.row_in[b];
  stretch.row0 = a.mode == WHOLE ? 0 : end - REACH * a.n_columns;
  stretch.end = end < 0 ? -1 : end - stretch.row0;
  return stretch;
}

// The words of a segment, WIDTH rows from `first` on, to shared memory; 0 where there are none.
template <int WIDTH, int THREADS>
DEVICE void copy_words(const Arguments& a, int b, int segment, int first, u32* to) {
  const u32* const words = a.words + ((i64)b * a.n_blocks + segment * BLOCKS) * a.pitch;
  const int blocks = a.n_blocks - segment * BLOCKS;
  u32 read[BLOCKS][(WIDTH + THREADS - 1) / THREADS];  // all at once under way
#pragma unroll
  for (int block = 0; block < BLOCKS; ++block)
#pragma unroll
    for (int n = 0; n < WIDTH; n += THREADS) {
      const int row = first + n + threadIdx.x;
      read[block][n / THREADS] = block < blocks && row >= 0 && row < a.pitch ? words[block * a.pitch + row] : 0;
    }
#pragma unroll
  for (int block = 0; block < BLOCKS; ++block)
#pragma unroll
    for (int n = 0; n < WIDTH; n += THREADS)
      if (n + threadIdx.x < WIDTH) to[block * WIDTH + n + threadIdx.x] = read[block][n / THREADS];
  __syncthreads();
}

// From `row` at column `last` of a segment back to before the segment. leave(row, column): there the path came from above.
template <class Leave>
DEVICE int go_back(const u32* words, int first, int width, int row, int last, bool from_start, Leave leave) {
  for (int block = last / K; block >= 0; --block) {
    u32 open = block == last / K ? (1u << K) - (1u << (K - 1 - last % K)) : (1u << K) - 1;
    if (from_start && block == 0) open &= (1u << (K - 1)) - 1;  // in column 0 a path begins
    while (open != 0) {
      const u32 word = words[block * width + row - first], leaves = word & open;
      if (leaves == 0) break;
      const u32 latest = leaves & -leaves;
      leave(row, block * K + K - 32 + __clz(latest));
      row -= (word >> K & latest) != 0 ? 2 : 1;
      open &= -(latest << 1);
    }
  }
  return row;
}

// grid: B * groups of segments * tiles of as many rows as there are threads.
extern "C" __global__ void __launch_bounds__(FOLLOW_ROWS) follow(const Arguments a, const int groups) {
  constexpr int WIDTH = SEGMENT_ROWS + FOLLOW_ROWS;
  __shared__ u32 words[BLOCKS * WIDTH];
  const int tiles = (a.pitch + FOLLOW_ROWS - 1) / FOLLOW_ROWS;
  const int b = blockIdx.x / (groups * tiles), tile = blockIdx.x / groups % tiles;
  const Stretch stretch = stretch_of(a, read_item(a, b), b);
  const int first = tile * FOLLOW_ROWS - SEGMENT_ROWS, row = tile * FOLLOW_ROWS + threadIdx.x;
  if (tile * FOLLOW_ROWS > stretch.end) return;
  for (int segment = 1 + blockIdx.x % groups; segment * SEGMENT < stretch.columns; segment += groups) {
    copy_words<WIDTH, FOLLOW_ROWS>(a, b, segment, first, words);
    const int last = min(SEGMENT, stretch.columns - segment * SEGMENT) - 1;
    const int entry = go_back(words, first, WIDTH, row, last, false, [](int, int) {});
    if (row < a.pitch) a.entries[((i64)b * a.n_segments + segment) * a.pitch + row] = entry;
    __syncthreads();
  }
}

// grid: B * groups of segments.
extern "C" __global__ void __launch_bounds__(COUNT_THREADS) count(const Arguments a, const int groups) {
  __shared__ u32 words[BLOCKS * SEGMENT_ROWS];
  const int b = blockIdx.x / groups, group = blockIdx.x % groups;
  const Item item = read_item(a, b);
  const Stretch stretch = stretch_of(a, item, b);
  if (stretch.columns <= 0) return;
  i64* const durations = a.durations + (i64)b * a.T;
  if (stretch.end < 0) {
    if (group > 0) return;
    if (stretch.last)
      for (int row = threadIdx.x; row < a.T; row += blockDim.x) durations[row] = -1;
    if (a.mode == WINDOW && threadIdx.x == 0) a.row_out[b] = -1;
    return;
  }
  for (int segment = group; segment * SEGMENT < stretch.columns; segment += groups) {
    int row = stretch.end;
    for (int n = (stretch.columns - 1) / SEGMENT; n > segment; --n)
      row = a.entries[((i64)b * a.n_segments + n) * a.pitch + row];
    const int first = row - SEGMENT_ROWS + 1;
    copy_words<SEGMENT_ROWS, COUNT_THREADS>(a, b, segment, first, words);
    if (threadIdx.x == 0) {
      int until = min(SEGMENT, stretch.columns - segment * SEGMENT);
      auto leave = [&](int row, int column) {
        atomicAdd((u64*)(durations + stretch.row0 + row), (u64)(until - column));
        until = column;
      };
      const bool from_start = segment == 0 && a.first_column == 0;
      row = go_back(words, first, SEGMENT_ROWS, row, until - 1, from_start, leave);
      leave(row, 0);
      if (a.mode == WINDOW && segment == 0) a.row_out[b] = stretch.row0 + row;
    }
    __syncthreads();
  }
}
