/* test_schedule.c: rates against PyTorch's (tests/oracle/schedule.py wrote the numbers) and specs that are refused. */
#include <math.h>

#include "files.h"

static actc_schedule parse(actc_context *context, const char *spec, double lr, int64_t epochs)
{
    actc_schedule schedule = {.size = sizeof schedule};
    assert_ok(context, actc_schedule_parse(context, spec, lr, epochs, &schedule));
    assert_int_equal(schedule.size, sizeof schedule);
    return schedule;
}

static void near(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 4e-16 * fabs(wanted) + 1e-20))
        fail_msg("%.17g instead of %.17g", found, wanted);
}

static void test_constant(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    actc_schedule s = parse(context, "constant", 1e-3, 5);
    for (uint64_t epoch = 0; epoch < 100; epoch += 7)
        assert_true(actc_schedule_rate(&s, epoch) == 1e-3);
    s = parse(context, NULL, 0.5, 1);
    assert_true(actc_schedule_rate(&s, UINT64_MAX) == 0.5);
    s = parse(context, "constant", 0, 1);
    assert_true(actc_schedule_rate(&s, 3) == 0);
}

static const double step_3_05[] = {
    0.10000000000000001, 0.10000000000000001, 0.10000000000000001, 0.050000000000000003, 0.050000000000000003,
    0.050000000000000003, 0.025000000000000001, 0.025000000000000001, 0.025000000000000001, 0.012500000000000001};
static const double step_default[] = {
    0.001, 0.0001, 1.0000000000000001e-05};
static const double cosine_8[] = {
    0.10000000000000001, 0.096232036859308701, 0.085501785668734107, 0.069442829902071956, 0.050500000000000003,
    0.031557170097928057, 0.0154982143312659, 0.0047679631406913068, 0.001};
static const double cosine_5[] = {
    0.001, 0.00090450849718747375, 0.00065450849718747374, 0.00034549150281252633, 9.5491502812526327e-05, 0};
static const double plateau_losses[] = {
    1, 0.90000000000000002, 0.89995000000000003, 0.89990999999999999, 0.89992000000000005, 0.80000000000000004, NAN,
    0.81000000000000005, 0.80000000000000004, 0.79000000000000004, 0.90000000000000002, 0.90000000000000002,
    0.90000000000000002, 0.90000000000000002, 0.90000000000000002, 0.90000000000000002, 0.90000000000000002,
    0.90000000000000002, 0.90000000000000002, 0.90000000000000002, 0.90000000000000002, 0.90000000000000002,
    0.90000000000000002};
static const double plateau_rates[] = {
    0.10000000000000001, 0.10000000000000001, 0.10000000000000001, 0.10000000000000001, 0.10000000000000001,
    0.050000000000000003, 0.050000000000000003, 0.050000000000000003, 0.050000000000000003, 0.025000000000000001,
    0.025000000000000001, 0.025000000000000001, 0.025000000000000001, 0.012500000000000001, 0.012500000000000001,
    0.012500000000000001, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01};

static void test_step(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    actc_schedule s = parse(context, "step:epochs=3,gamma=0.5", 0.1, 10);
    for (uint64_t epoch = 0; epoch < 10; epoch++)
        near(actc_schedule_rate(&s, epoch), step_3_05[epoch]);
    s = parse(context, "step", 1e-3, 90);
    for (uint64_t epoch = 0; epoch < 90; epoch++)
        near(actc_schedule_rate(&s, epoch), step_default[epoch / 30]);
    assert_true(actc_schedule_rate(&s, UINT64_MAX) == 0); /* and soon */
    s = parse(context, "step:gamma=1,epochs=1", 0.1, 10);
    assert_true(actc_schedule_rate(&s, UINT64_MAX) == 0.1);
    s = parse(context, "step:gamma=0", 0.1, 10);
    assert_true(actc_schedule_rate(&s, 29) == 0.1 && actc_schedule_rate(&s, 30) == 0);
}

static void test_cosine(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    actc_schedule s = parse(context, "cosine:epochs=8,min-lr=0.001", 0.1, 3);
    for (uint64_t epoch = 0; epoch <= 8; epoch++)
        near(actc_schedule_rate(&s, epoch), cosine_8[epoch]);
    assert_true(actc_schedule_rate(&s, 9) == 0.001);
    s = parse(context, "cosine", 1e-3, 5);
    for (uint64_t epoch = 0; epoch <= 5; epoch++)
        near(actc_schedule_rate(&s, epoch), cosine_5[epoch]);
}

static void test_plateau(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    actc_schedule s = parse(context, "plateau:patience=2,gamma=0.5,min-lr=0.01", 0.1, 5);
    assert_true(isinf(s.best));
    for (size_t epoch = 0; epoch < sizeof plateau_losses / sizeof *plateau_losses; epoch++) {
        near(actc_schedule_rate(&s, epoch), plateau_rates[epoch]);
        actc_schedule_observe(&s, plateau_losses[epoch]);
    }
    /* a schedule put together again from what a checkpoint keeps goes on the same way */
    actc_schedule again = parse(context, "plateau:patience=2,gamma=0.5,min-lr=0.01", 0.1, 5);
    again.best = s.best;
    again.bad_epochs = s.bad_epochs;
    again.reductions = s.reductions;
    assert_memory_equal(&again, &s, sizeof s);
    /* PyTorch leaves out a change of no more than 1e-8 */
    s = parse(context, "plateau:patience=0,gamma=0.1", 1e-7, 5);
    for (int epoch = 0; epoch < 6; epoch++)
        actc_schedule_observe(&s, 1.0);
    near(actc_schedule_rate(&s, 6), 1e-8);
    /* the others do not listen */
    s = parse(context, "step:epochs=1", 1, 5);
    actc_schedule before = s;
    actc_schedule_observe(&s, NAN);
    assert_memory_equal(&before, &s, sizeof s);
}

static void test_refused(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    static const struct {
        const char *spec, *text, *also;
    } wrong[] = {
        {"cosin", "unknown schedule \"cosin\"", "did you mean \"cosine\""},
        {"", "unknown schedule \"\"", "there are: constant"},
        {"constant:lr=1", "no keys", "lr"},
        {"step:epoch=3", "unknown key \"epoch\", did you mean \"epochs\"", "epochs, gamma"},
        {"step:epochs", "\"epochs\" is not key=value", "step:epochs"},
        {"step:", "\"\" is not key=value", "step:"},
        {"step:epochs=0", "epochs=0", "from 1"},
        {"step:epochs=2.5", "epochs=2.5", "whole number"},
        {"step:gamma=-1", "gamma=-1", "from 0 to 1"},
        {"step:gamma=1.5", "gamma=1.5", "from 0 to 1"},
        {"step:gamma=nan", "gamma=nan", "a number"},
        {"step:gamma=0.1x", "gamma=0.1x", "a number"},
        {"step:gamma=1e-400", "gamma=1e-400", "a number"}, /* not 0 */
        {"step:gamma=0.1,epochs=2,gamma=0.2", "gamma", "given twice"},
        {"cosine:min-lr=2", "min-lr=2", "from 0 to 0.1"},
        {"cosine:patience=2", "unknown key \"patience\"", "epochs, min-lr"},
        {"plateau:patience=-1", "patience=-1", "from 0"},
        {"plateau:patience=99999999999999999999", "patience=99999999999999999999", "whole number"},
    };
    actc_schedule s = {.size = sizeof s};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_failed(context, actc_schedule_parse(context, wrong[i].spec, 0.1, 5, &s), ACTC_ERROR_INVALID_ARGUMENT,
                      wrong[i].text, wrong[i].also, NULL);
    assert_failed(context, actc_schedule_parse(context, "constant", -1, 5, &s), ACTC_ERROR_INVALID_ARGUMENT, "rate -1", NULL);
    assert_failed(context, actc_schedule_parse(context, "constant", NAN, 5, &s), ACTC_ERROR_INVALID_ARGUMENT, "rate nan", NULL);
    assert_failed(context, actc_schedule_parse(context, "cosine", 0.1, 0, &s), ACTC_ERROR_INVALID_ARGUMENT, "over 0 epochs",
                  NULL);
    assert_int_equal(actc_schedule_parse(NULL, "cosine", 0.1, 1, &s), ACTC_ERROR_INVALID_ARGUMENT);
}

/* However long what is quoted is: the message ends with what is accepted, and no character of it is cut in two. */
static void test_long_messages(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    actc_schedule s = {.size = sizeof s};
    for (size_t length = 900; length < 1100; length++) {
        char spec[4400] = "step:epochs=3,gamma=";
        size_t used = strlen(spec);
        for (size_t i = 0; i < length; i++)
            used += (size_t)sprintf(spec + used, i % 3 ? "\xc3\xa9" : "\xe2\x82\xac"); /* an e with its accent, a euro sign */
        assert_failed(context, actc_schedule_parse(context, spec, 0.1, 5, &s), ACTC_ERROR_INVALID_ARGUMENT,
                      "schedule \"step:epochs=3,gamma=", " ... ", NULL);
        const char *message = actc_error_message(context), *end = "; a number from 0 to 1 is accepted";
        assert_in_range(strlen(message), 1000, 1023);
        assert_string_equal(message + strlen(message) - strlen(end), end);
        int follow = 0;
        for (const unsigned char *p = (const unsigned char *)message; *p; p++) {
            assert_int_equal((*p & 0xc0) == 0x80, follow > 0);
            follow = *p == 0xc3 ? 1 : *p == 0xe2 ? 2 : follow > 0 ? follow - 1 : 0;
        }
        assert_int_equal(follow, 0);
    }
}

static actc_status parse_once(void *user)
{
    actc_schedule s = {.size = sizeof s};
    return actc_schedule_parse(user, "step:epochs=3", 0.1, 5, &s);
}

static void test_out_of_memory(void **state)
{
    actc_context *context = ((struct test_folder *)*state)->context;
    refuse_each(context, parse_once, context);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
    const struct CMUnitTest tests[] = {TEST(test_constant), TEST(test_step),    TEST(test_cosine),
                                       TEST(test_plateau),  TEST(test_refused), TEST(test_long_messages),
                                       TEST(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
