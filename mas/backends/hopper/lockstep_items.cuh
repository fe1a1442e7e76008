// What a launch for lockstep.cu is told, and which cells of an item some path can visit. See lockstep.cu for names.

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

static_assert(sizeof(Arguments) == ARGUMENTS_BYTES, "lockstep_arguments.py has the same structure");

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
  let_next_launch_begin();
  const Item item = read_item(a, b);
  const int needed = plan(a, item, b, a.before + (i64)b * (a.T + 1), counts);
  if (tid == 0) a.needed[b] = needed;
  set_result(a, b, needed < 0 ? -1 : 0, tid, blockDim.x);
}
