// Gradients of one face's corners, summed over the pixels it meets: what the backward kernels of this folder share.
//
// Stands below face_lanes.h at the top of a kernel's body; reads grad_corners and grad_shades, shaped like corners and
// shades and 0 on entry, from its surroundings. No two threads write to one row of them, and a face is summed in
// registers: the same bits whatever the number of threads.

Located at;
Lanes to_x[3], to_y[3], to_z[3], to_shade[3];  // gradients of one face's corners, a sum per lane

auto start_face = [&]() { for (int i = 0; i < 3; i++) to_x[i] = to_y[i] = to_z[i] = to_shade[i] = ZERO; };
auto add_face = [&](int r) {
    float to_face = 0.0f;
    for (int i = 0; i < 3; i++) {
        float* const corner = (float*)grad_corners.data + corner_place(r, i);
        const auto total = four_sums(to_x[i], to_y[i], to_z[i], to_shade[i]);
        corner[0] += total[0];
        corner[1] += total[1];
        corner[2] += total[2];
        if (flat)
            to_face += total[3];
        else
            ((float*)grad_shades.data)[shade_place(r, i)] += total[3];
    }
    if (flat) ((float*)grad_shades.data)[shade_place(r, 0)] += to_face;
};

// Barycentrics of the points.
auto weigh_points = [&](Lanes* weight) {
    const Lanes rest = ONE - at.along;
    for (int i = 0; i < 3; i++) {
        const Lanes on_edge = at.nearest[i] ? rest : (at.nearest[(i + 2) % 3] ? at.along : ZERO);
        weight[i] = at.covers ? at.weight[i] : on_edge;
    }
};

// Gradient of depth and shade, 1 / z = sum w_i / z_i and shade = z sum w_i s_i / z_i, in the corners' depths and shades;
// fills that in w_i.
auto through_values = [&](const Face& face, const Lanes* weight, Lanes depth, Lanes shade, Lanes to_depth,
                          Lanes to_shade_here, Lanes* to_weight) {
    const Lanes to_inverse = (flat ? -to_depth * depth : -to_depth * depth - to_shade_here * shade) * depth;
    for (int i = 0; i < 3; i++) {
        const Lanes per_weight = flat ? to_inverse : to_inverse + to_shade_here * depth * face.shade[i];
        to_weight[i] = per_weight * face.inverse_depth[i];
        to_z[i] -= to_weight[i] * (weight[i] * face.inverse_depth[i]);
        if (!flat) to_shade[i] += to_shade_here * depth * (weight[i] * face.inverse_depth[i]);
    }
    if (flat) to_shade[0] += to_shade_here;
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

// Gradient of the squared distance to the nearest edge, and of where on it the nearest point lies.
auto through_edges = [&](const Face& face, Mask mask, Lanes to_squared, const Lanes* to_weight) {
    Lanes edge_x[3], edge_y[3], to_along[3];
    for (int i = 0; i < 3; i++) {
        const int j = (i + 1) % 3;
        edge_x[i] = (Lanes)(face.x[j] - face.x[i]);
        edge_y[i] = (Lanes)(face.y[j] - face.y[i]);
        to_along[i] = (to_weight[j] - to_weight[i]) * face.inverse_length[i];
    }
    const Lanes ex = of_nearest(at, edge_x), ey = of_nearest(at, edge_y), dx = at.to_edge_x, dy = at.to_edge_y;
    const Lanes t = at.along, rest = ONE - t;
    // The nearest point's own motion along the edge does not change the distance to first order.
    const Lanes pull = mask ? 2.0f * to_squared : ZERO;
    const Mask slides = mask & ~at.covers & (t > ZERO) & (t < ONE);
    const Lanes slide = slides ? of_nearest(at, to_along) : ZERO;
    // t = -(c_i . e) / |e|^2 with e = c_j - c_i, and d = c_i + t e.
    const Lanes start_x = pull * rest * dx + slide * (dx - rest * ex), stop_x = pull * t * dx - slide * (dx + t * ex);
    const Lanes start_y = pull * rest * dy + slide * (dy - rest * ey), stop_y = pull * t * dy - slide * (dy + t * ey);
    for (int i = 0; i < 3; i++) {
        const Mask starts = at.nearest[i], stops = at.nearest[(i + 2) % 3];
        to_x[i] += starts ? start_x : (stops ? stop_x : ZERO);
        to_y[i] += starts ? start_y : (stops ? stop_y : ZERO);
    }
};
