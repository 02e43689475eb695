// Rows of three numbers, x, y, z, eight at a time: what the kernels share that project vertices and shade faces.
//
// Stands below lanes.h; reads from its surroundings: first_row, last_row (of the task), farthest.
// Names and formulas are those of _projection_warp.py.

struct Three { Lanes x, y, z; };
auto plus = [](const Three& a, const Three& b) { return Three{a.x + b.x, a.y + b.y, a.z + b.z}; };
auto minus = [](const Three& a, const Three& b) { return Three{a.x - b.x, a.y - b.y, a.z - b.z}; };
auto scaled = [](const Three& a, Lanes by) { return Three{a.x * by, a.y * by, a.z * by}; };
auto dot = [](const Three& a, const Three& b) { return a.x * b.x + a.y * b.y + a.z * b.z; };
auto cross = [](const Three& a, const Three& b) {
    return Three{a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
};
auto length_of = [&](const Three& a) { return __builtin_elementwise_sqrt(dot(a, a)); };
auto three = [](const float* from) { return Three{(Lanes)(from[0]), (Lanes)(from[1]), (Lanes)(from[2])}; };

// Up to eight rows that follow each other; what is missing is 0.
auto load_rows = [&](const float* from, int count) {
    float padded[24] = {0};
    if (count < 8) {
        for (int i = 0; i < 3 * count; i++) padded[i] = from[i];
        from = padded;
    }
    const Lanes one = load(from), two = load(from + 8), last = load(from + 16);
    const auto front = __builtin_shufflevector(one, two, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto rest = __builtin_shufflevector(last, last, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    return Three{
        __builtin_shufflevector(front, rest, 0, 3, 6, 9, 12, 15, 18, 21),
        __builtin_shufflevector(front, rest, 1, 4, 7, 10, 13, 16, 19, 22),
        __builtin_shufflevector(front, rest, 2, 5, 8, 11, 14, 17, 20, 23),
    };
};
auto store_rows = [&](float* to, int count, const Three& rows) {
    const auto front = __builtin_shufflevector(rows.x, rows.y, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const auto rest = __builtin_shufflevector(rows.z, rows.z, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    float padded[24];
    float* const whole = count < 8 ? padded : to;
    store(whole, __builtin_shufflevector(front, rest, 0, 8, 16, 1, 9, 17, 2, 10));
    store(whole + 8, __builtin_shufflevector(front, rest, 18, 3, 11, 19, 4, 12, 20, 5));
    store(whole + 16, __builtin_shufflevector(front, rest, 13, 21, 6, 14, 22, 7, 15, 23));
    if (count < 8)
        for (int i = 0; i < 3 * count; i++) to[i] = padded[i];
};
auto store_some = [&](float* to, int count, Lanes values) {
    if (count == 8) store(to, values);
    else
        for (int lane = 0; lane < count; lane++) to[lane] = values[lane];
};
auto load_some = [&](const float* from, int count) {
    if (count == 8) return load(from);
    Lanes values = ZERO;
    for (int lane = 0; lane < count; lane++) values[lane] = from[lane];
    return values;
};

auto is_near = [&](const Three& p) {
    auto within = [&](Lanes x) { return __builtin_elementwise_abs(x) <= (Lanes)(farthest); };
    return within(p.x) & within(p.y) & within(p.z);
};
// The origin in place of what is too far.
auto or_origin = [&](const Three& p) {
    const Mask near = is_near(p);
    return Three{near ? p.x : ZERO, near ? p.y : ZERO, near ? p.z : ZERO};
};

// visit(first, count) for the rows of the task, eight at a time.
auto for_rows = [&](auto&& visit) {
    for (int first = first_row; first < last_row; first += 8) visit(first, last_row - first < 8 ? last_row - first : 8);
};
