"""The addresses of the catalogue, with or without a trailing slash."""

from rest_framework.routers import SimpleRouter

from learn.views import CategoryViewSet, CourseViewSet, FieldViewSet

router = SimpleRouter()
# Both are the address: a redirect would lose the body of a POST.
router.trailing_slash = "/?"
router.register("categories", CategoryViewSet, basename="category")
router.register("fields", FieldViewSet, basename="field")
router.register("courses", CourseViewSet, basename="course")

urlpatterns = router.urls
