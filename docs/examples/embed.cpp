// The same from C++: handles in unique_ptr, the callback a lambda.
//
//   c++ -std=c++17 embed.cpp $(pkg-config --cflags --libs vqpipe) -o embed && ./embed pipelines/vqdiffusion.yaml
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vqpipe/vqpipe.h>

namespace
{
template <auto destroy> struct Deleter {
    template <class T> void operator()(T *p) const
    {
        destroy(p);
    }
};
using Context = std::unique_ptr<vqpipe_context, Deleter<vqpipe_context_destroy>>;
using Pipeline = std::unique_ptr<vqpipe, Deleter<vqpipe_close>>;
using Result = std::unique_ptr<vqpipe_result, Deleter<vqpipe_result_destroy>>;

void check(vqp_status status, const vqp_error &err)
{
    if (status)
        throw std::runtime_error(err.msg);
}

Pipeline open(const Context &ctx, const char *descriptor)
{
    vqp_error err{};
    vqpipe *pipe = nullptr;
    check(vqpipe_open(ctx.get(), descriptor, &pipe, &err), err);
    return Pipeline(pipe);
}

Result draw(const Pipeline &pipe, const char *prompt, const char *seed)
{
    vqp_error err{};
    vqpipe_result *result = nullptr;
    vqpipe_run_params params{};
    params.struct_size = sizeof params;
    params.callback_steps = 5;
    params.step = [](void *, const vqpipe_step_event *ev) -> int32_t {
        std::printf("step %u of %u\n", ev->eval + 1, ev->n_evals);
        return 0;
    };
    check(vqpipe_set(pipe.get(), "run.steps", "10", &err), err);
    check(vqpipe_set(pipe.get(), "run.seed", seed, &err), err);
    check(vqpipe_set_prompts(pipe.get(), &prompt, 1, &err), err);
    check(vqpipe_run(pipe.get(), &params, &result, &err), err);
    return Result(result);
}
} // namespace

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    try {
        vqp_error err{};
        vqpipe_context *raw = nullptr;
        check(vqpipe_context_create(nullptr, &raw, &err), err);
        Context ctx(raw);
        Pipeline one = open(ctx, argv[1]), two = open(ctx, argv[1]); // the same mapped weights
        Result a = draw(one, "a sailboat with a blue sail at sunset", "7"),
               b = draw(two, "a sailboat with a blue sail at sunset", "7");
        const size_t n = size_t{vqpipe_result_width(a.get())} * vqpipe_result_height(a.get()) * 3;
        const std::string x(reinterpret_cast<const char *>(vqpipe_result_rgb(a.get(), 0)), n);
        const std::string y(reinterpret_cast<const char *>(vqpipe_result_rgb(b.get(), 0)), n);
        std::printf("%zu bytes; two pipelines, one seed: %s\n", n, x == y ? "equal pictures" : "different pictures");
        return x != y;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "embed: %s\n", e.what());
        return 1;
    }
}
