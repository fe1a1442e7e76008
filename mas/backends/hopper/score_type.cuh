// The type of scores in memory, for search_loader.cuh and lockstep.cu.

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
