// The way back, for lockstep.cu, which includes this file; see there for names and conventions.

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
  let_next_launch_begin();
  const Item item = read_item(a, b);
  wait_for_launch_before();
  const Stretch stretch = stretch_of(a, item, b);
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
  let_next_launch_begin();
  const Item item = read_item(a, b);
  wait_for_launch_before();
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
