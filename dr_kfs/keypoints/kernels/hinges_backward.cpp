// The gradient of one row of the correlations, which are 0 on entry, eight pixels at a time.
//
// Arguments (see _hinges_cpu_warp.py): poi, winners, calibration, grad_poi; image, row, members, margin;
// grad_correlations.

typedef unsigned char Bytes __attribute__((ext_vector_type(8)));
typedef unsigned char UnalignedBytes __attribute__((ext_vector_type(8), aligned(1)));

const int groups = winners.shape[1];
const long height = poi.shape[1], width = poi.shape[2];
const long plane = (long)grad_correlations.shape[2] * grad_correlations.shape[3];
float* const gradients = (float*)grad_correlations.data + (long)image * groups * members * plane +
                         (long)(row + margin) * grad_correlations.shape[3] + margin;
const float scale = ((const float*)calibration.data)[0], blank = ((const float*)calibration.data)[2];
const float* const poi_row = (const float*)poi.data + (image * height + row) * width;
const float* const incoming = (const float*)grad_poi.data + (image * height + row) * width;
const unsigned char* const winner_row = (const unsigned char*)winners.data + ((long)image * groups * height + row) * width;

for (long next = 0; next < width; next += 8) {
    const long column = next + 8 <= width ? next : width - 8;  // the last eight, some of them again
    const Lanes value = load(poi_row + column);
    const Mask lit = value > ZERO;
    if (!any(lit)) continue;
    const Lanes probability = value * (1.0f - blank) + blank;
    const Lanes slope = scale * probability * (1.0f - probability) / (1.0f - blank);
    const Lanes gradient = lit ? slope * load(incoming + column) : ZERO;
    for (int group = 0; group < groups; group++) {
        const Bytes bytes = *(const UnalignedBytes*)(winner_row + group * height * width + column);
        const Mask winner = __builtin_convertvector(bytes, Mask);
        const Lanes signed_gradient = group % 2 == 0 ? gradient : -gradient;
        for (int member = 0; member < members; member++)
            store(gradients + (long)(group * members + member) * plane + column,
                  winner == (Mask)member ? signed_gradient : ZERO);
    }
}
