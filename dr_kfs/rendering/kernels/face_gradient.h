// Gradients of one face's corners, summed over the pixels it meets: what the backward kernels of this folder share.
//
// Stands below face_lanes.h at the top of a kernel's body; reads grad_corners and grad_shades, shaped like corners and
// shades and 0 on entry, from its surroundings. No two threads write to one row of them, and a face is summed in
// registers: the same bits whatever the number of threads.

Located at;
Lanes to_x[3], to_y[3], to_z[3], to_shade[3];  // gradients of one face's corners, a sum per lane

auto start_face = [&]() { for (int i = 0; i < 3; i++) to_x[i] = to_y[i] = to_z[i] = to_shade[i] = ZERO; };
auto add_face = [&](int r) {
    for (int i = 0; i < 3; i++) {
        float* const corner = (float*)grad_corners.data + corner_place(r, i);
        corner[0] += sum(to_x[i]);
        corner[1] += sum(to_y[i]);
        corner[2] += sum(to_z[i]);
    }
    if (shade_columns == 1)
        ((float*)grad_shades.data)[shade_place(r, 0)] += sum(to_shade[0] + to_shade[1] + to_shade[2]);
    else
        for (int i = 0; i < 3; i++) ((float*)grad_shades.data)[shade_place(r, i)] += sum(to_shade[i]);
};

// Gradient of the barycentrics, for covered centres: p = sum w_i v_i, so moving corner k by s changes the
// barycentrics as moving p by -w_k s does.
auto through_inside = [&](const Face& face, Mask mask, const Lanes* to_weight) {
    Lanes gx = ZERO, gy = ZERO;
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3, k = (i + 2) % 3;
        gx += to_weight[i] * (face.y[j] - face.y[k]);
        gy += to_weight[i] * (face.x[k] - face.x[j]);
    }
    gx = mask ? gx * face.inverse_area : ZERO;
    gy = mask ? gy * face.inverse_area : ZERO;
    for (int i = 0; i < 3; i++) {
        to_x[i] -= at.weight[i] * gx;
        to_y[i] -= at.weight[i] * gy;
    }
};

// Gradient of the squared distance and of the nearest point's place on the edge, for edge `i`.
auto through_edge = [&](const Face& face, int i, Mask mask, Lanes to_squared, const Lanes* to_weight) {
    const int j = (i + 1) % 3;
    const float ex = face.x[j] - face.x[i], ey = face.y[j] - face.y[i];
    const Lanes t = at.along, dx = at.x[i] + t * ex, dy = at.y[i] + t * ey;
    // The nearest point's own motion along the edge does not change the distance to first order.
    const Lanes pull = mask ? 2.0f * to_squared : ZERO;
    const Mask slides = mask & ~at.covers & (t > ZERO) & (t < ONE);
    const Lanes slide = slides ? (to_weight[j] - to_weight[i]) * face.inverse_length[i] : ZERO;
    // t = -(c_i . e) / |e|^2 with e = c_j - c_i.
    to_x[i] += pull * (ONE - t) * dx + slide * (at.x[i] - ex + 2.0f * t * ex);
    to_y[i] += pull * (ONE - t) * dy + slide * (at.y[i] - ey + 2.0f * t * ey);
    to_x[j] += pull * t * dx - slide * (at.x[i] + 2.0f * t * ex);
    to_y[j] += pull * t * dy - slide * (at.y[i] + 2.0f * t * ey);
};
