
EVENTjoinedoneà¬Å¢Œ4"lea*joined:iza4jjwh4qfceeslhm5vgsgrzsBstory:2Jsafety_hazardRsmokeZwake˜®, 