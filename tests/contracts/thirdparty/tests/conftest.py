from pegboard_sdk.testing import kernel_fixture, tenant_fixture

kernel = kernel_fixture("hello", settings={"hello": {"congratulation": "Well done!"}})
tenant = tenant_fixture()
