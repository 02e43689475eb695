// One row of a PoI map from the correlations with GHH filters, eight pixels at a time.
//
// Arguments (see _hinges_cpu_warp.py): correlations, biases, calibration, lit; image, row, margin; poi, winners.

typedef unsigned char Bytes __attribute__((ext_vector_type(8)));
typedef unsigned char UnalignedBytes __attribute__((ext_vector_type(8), aligned(1)));

const int groups = biases.shape[0], members = biases.shape[1];
const long height = poi.shape[1], width = poi.shape[2];
const long plane = (long)correlations.shape[2] * correlations.shape[3];
const float* const scores = (const float*)correlations.data + (long)image * groups * members * plane +
                            (long)(row + margin) * correlations.shape[3] + margin;
const float* const bias = (const float*)biases.data;
const float scale = ((const float*)calibration.data)[0], offset = ((const float*)calibration.data)[1];
const float blank = ((const float*)calibration.data)[2];
const unsigned char* const lit_row = (const unsigned char*)lit.data + (image * height + row) * width;
float* const poi_row = (float*)poi.data + (image * height + row) * width;
unsigned char* const winner_row = (unsigned char*)winners.data + ((long)image * groups * height + row) * width;

for (long next = 0; next < width; next += 8) {
    const long column = next + 8 <= width ? next : width - 8;  // the last eight, some of them again
    const Bytes seen = *(const UnalignedBytes*)(lit_row + column);
    if (__builtin_reduce_or(seen) == 0) {
        store(poi_row + column, ZERO);
        for (int group = 0; group < groups; group++)
            *(UnalignedBytes*)(winner_row + group * height * width + column) = (Bytes)(unsigned char)0;
        continue;
    }
    Lanes response = ZERO;
    for (int group = 0; group < groups; group++) {
        const float* score = scores + (long)group * members * plane + column;
        Lanes best = load(score) + bias[group * members];
        Mask winner = 0;
        for (int member = 1; member < members; member++) {
            const Lanes other = load(score + member * plane) + bias[group * members + member];
            const Mask larger_here = (other > best) | (other != other);  // NaN stays, as in torch.max
            winner = larger_here ? (Mask)member : winner;
            best = larger_here ? other : best;
        }
        *(UnalignedBytes*)(winner_row + group * height * width + column) = __builtin_convertvector(winner, Bytes);
        response += group % 2 == 0 ? best : -best;
    }
    const Lanes probability = 1.0f / (1.0f + exponential(-(scale * response + offset)));
    const Lanes above = larger(probability - blank, ZERO) / (1.0f - blank);
    const Lanes value = response == response ? above : response;
    store(poi_row + column, __builtin_convertvector(seen, Mask) != 0 ? value : ZERO);
}
