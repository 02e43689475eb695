// Backward of shade_forward.cpp: the gradient of the normals whose length is twice the area of a task's faces.
//
// Arguments (see _projection_cpu_warp.py): those of the forward up to diffuse, farthest, tiny; grad_shades (V, F);
// grad_normals (F, 3), whose rows of the task are written.

const int cameras = eye.shape[0];
const long all_faces = faces.shape[0];
for_rows([&](int first, int count) {
    const LitFaces lit = lit_faces(first, count);
    Lanes total = ZERO;
    for (int camera = 0; camera < cameras; camera++) {
        const Lanes side = facing(lit, camera);
        const Lanes g = load_some((const float*)grad_shades.data + camera * all_faces + first, count);
        total += side * lit.cosine >= ZERO ? side * g : ZERO;
    }
    const Lanes bent = lit.length >= (Lanes)(tiny) ? lit.cosine : ZERO;
    const Lanes scale = diffuse * total / larger(lit.length, (Lanes)(tiny));
    store_rows((float*)grad_normals.data + 3 * (long)first, count, scaled(minus(light, scaled(lit.unit, bent)), scale));
});
